"""Peak memory over the length of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over
from scripts.benchmarking.results import Taken
from scripts.benchmarking.synthetic import draw_photos

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender
    from scripts.benchmarking.results import Fact

LENGTHS: Final = (1_000, 100_000)
_QUICK_LENGTHS: Final = (10, 100)
_PHOTOS: Final = 20
_SIZE: Final = (320, 240)


def measure_memory(bench: Bench) -> Taken:
    """Runs a short and a long list of small photos, each photo many times; once is enough."""
    photos = draw_photos(bench.scratch / "small", _SIZE, _PHOTOS, seed=bench.seed)
    lengths = _QUICK_LENGTHS if bench.quick else LENGTHS
    lists = [
        bench.write_list(f"memory-{length}", (photos * (length // len(photos) + 1))[:length])
        for length in lengths
    ]
    contenders: dict[str, Contender] = {
        f"{engine.name}/{length}": over(bench.runner(engine), inputs)
        for engine in bench.engines
        for length, inputs in zip(lengths, lists, strict=True)
    }
    samples = in_turn(1, contenders, warm=False)
    facts: dict[str, Fact] = {
        "short": lengths[0],
        "long": lengths[1],
        "width": _SIZE[0],
        "height": _SIZE[1],
    }
    return Taken(samples=samples, facts=facts)
