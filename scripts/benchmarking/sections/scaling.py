"""How throughput follows batch size, threads, and downloads at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.host import usable_cpus
from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over_both
from scripts.benchmarking.photo_server import serving
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender
    from scripts.benchmarking.results import Fact

BATCHES: Final = (1, 4, 8, 16, 32, 64)
PER_HOST: Final = (4, 8, 16, 32, 64, 128)
LATENCY_MS: Final = 100


def measure_scaling(bench: Bench) -> Taken:
    """Runs the set with one setting after the other, in turn."""
    count = len(bench.photos)
    lists = bench.photo_list(count), bench.photo_list(count, times=bench.times)
    threads = sorted({1, usable_cpus()})
    settings: list[tuple[str, ...]] = [
        *(("--batch-size", str(size)) for size in (BATCHES[:2] if bench.quick else BATCHES)),
        *(("--threads", str(number)) for number in threads),
    ]
    contenders: dict[str, Contender] = {}
    with serving(bench.photos[0].parent, latency_ms=LATENCY_MS) as served:
        for engine in bench.engines:
            for setting in settings:
                contenders[f"{engine.name}/{' '.join(setting)}"] = over_both(
                    bench.runner(engine, *setting), *lists
                )
        urls = [served.url(path) for path in bench.photos]
        far = (
            bench.write_list("scaling-x1", urls),
            bench.write_list("scaling-x3", urls * bench.times),
        )
        for number in PER_HOST[:2] if bench.quick else PER_HOST:
            contenders[f"{bench.fastest.name}/--per-host {number}"] = over_both(
                bench.runner(bench.fastest, "--per-host", str(number)), *far
            )
        samples = in_turn(bench.pairs, contenders, warm=False)
    facts: dict[str, Fact] = {
        "photos": count,
        "times": bench.times,
        "latency_ms": LATENCY_MS,
        "threads": usable_cpus(),
    }
    return Taken(samples=samples, facts=facts)
