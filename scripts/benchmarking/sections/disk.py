"""All photos from disk: birdcli, the baselines, and the bound that decoding and inference set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmarking.baselines import IN_PROCESS, baseline
from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over_both, probe_decode, probe_engine
from scripts.benchmarking.results import Taken

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender
    from scripts.benchmarking.results import Fact


def measure_disk(bench: Bench) -> Taken:
    """Runs everything once over the set and once over a list three times as long, in turn."""
    count = len(bench.photos)
    once, longer = bench.photo_list(count), bench.photo_list(count, times=bench.times)
    contenders: dict[str, Contender] = {
        "decode": partial(probe_decode, bench, once),
        "entropy": partial(probe_decode, bench, once, "entropy"),
    }
    for engine in bench.engines:
        contenders[engine.name] = over_both(bench.runner(engine), once, longer)
        contenders[f"{engine.name}/alone"] = partial(probe_engine, bench, engine)
    if bench.is_saved_model:
        for name in IN_PROCESS:
            contenders[name] = over_both(baseline(bench, name), once, longer)
    facts: dict[str, Fact] = {
        "photos": count,
        "times": bench.times,
        "photo_kb": sum(path.stat().st_size for path in bench.photos) / count / 1000,
    }
    samples = in_turn(bench.pairs, contenders, warm=not bench.quick)
    return Taken(samples=samples, facts=facts)
