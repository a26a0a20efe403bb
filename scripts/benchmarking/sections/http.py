"""The same photos over HTTP on the loopback, beside the disk, the original and img2dataset."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.baselines import Img2Dataset, run_baseline
from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over, over_both
from scripts.benchmarking.photo_server import Served, serving
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender

LATENCY_MS: Final = 100
PER_HOST: Final = "64"
URLS: Final = 100
_ORIGINAL_URLS: Final = 10
"""Enough to tell a loop's start from what each image costs."""


def measure_http(bench: Bench, *, all_urls: bool) -> Taken:
    """Runs everything over the same list, from disk and over HTTP, in turn.

    Args:
        bench: The run.
        all_urls: Whether the original loop gets all 100 URLs; otherwise a few, from which its time
            for 100 follows.
    """
    count = len(bench.photos)
    folder = bench.photos[0].parent
    with serving(folder) as near, serving(folder, latency_ms=LATENCY_MS) as far:
        contenders: dict[str, Contender] = {}
        urls = {name: _lists(bench, name, served) for name, served in (("0", near), ("far", far))}
        disk = bench.photo_list(count), bench.photo_list(count, times=bench.times)
        hundred = bench.write_list("urls-100", [near.url(path) for path in bench.photos[:URLS]])
        for engine in bench.engines:
            for name, lists, flags in (
                ("disk", disk, ()),
                ("http0", urls["0"], ()),
                ("http0-64", urls["0"], ("--per-host", PER_HOST)),
                (f"http{LATENCY_MS}-64", urls["far"], ("--per-host", PER_HOST)),
            ):
                contenders[f"{engine.name}/{name}"] = over_both(
                    bench.runner(engine, *flags), *lists
                )
            contenders[f"{engine.name}/urls"] = over(bench.runner(engine), hundred)
        if bench.is_saved_model:
            contenders |= _original(bench, near, all_urls=all_urls)
        if not bench.quick:
            i2d = Img2Dataset(bench.scratch / "img2dataset")
            contenders["img2dataset"] = over(
                partial(i2d.run, size=bench.version.input.height), urls["0"][0]
            )
        samples = in_turn(bench.pairs, contenders, warm=not bench.quick)
    return Taken(
        samples=samples,
        facts={
            "photos": count,
            "times": bench.times,
            "urls": len(bench.photos[:URLS]),
            "original_urls": len(bench.photos[:URLS]) if all_urls else _ORIGINAL_URLS,
            "server_core_ms": near.cpu_s * 1000 / max(near.responses, 1),
        },
    )


def _lists(bench: Bench, name: str, served: Served) -> tuple[Path, Path]:
    urls = [served.url(path) for path in bench.photos]
    return bench.write_list(f"{name}-x1", urls), bench.write_list(
        f"{name}-x{bench.times}", urls * bench.times
    )


def _original(bench: Bench, served: Served, *, all_urls: bool) -> dict[str, Contender]:
    """Returns the original loop over one URL and over more: the difference is no start."""
    count = URLS if all_urls else _ORIGINAL_URLS
    urls = [served.url(path) for path in bench.photos]
    one = bench.write_list("original-1", urls[:1])
    more = bench.write_list("original", (urls * count)[:count])

    def both() -> dict[str, float]:
        return {
            "one_wall_s": run_baseline(bench, "original", one).wall_s,
            "wall_s": run_baseline(bench, "original", more).wall_s,
        }

    return {"original": both}
