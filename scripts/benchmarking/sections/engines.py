"""Every engine with every precision: after the start, and inference alone by batch size."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.bench import find_precisions, in_turn
from scripts.benchmarking.contenders import over_both, probe_engine
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender

BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)


def measure_engines(bench: Bench) -> Taken:
    """Runs each variant end to end and alone, in turn."""
    count = len(bench.photos)
    lists = bench.photo_list(count), bench.photo_list(count, times=bench.times)
    variants = find_precisions(bench)
    batches = BATCHES[:2] if bench.quick else BATCHES
    contenders: dict[str, Contender] = {}
    for variant in variants:
        contenders[variant.name] = over_both(bench.runner(variant), *lists)
        contenders[f"{variant.name}/alone"] = partial(
            probe_engine, bench, variant, batches, seconds=1.0
        )
    samples = in_turn(bench.pairs, contenders, warm=not bench.quick)
    names = ",".join(variant.name for variant in variants)
    return Taken(samples=samples, facts={"photos": count, "times": bench.times, "variants": names})
