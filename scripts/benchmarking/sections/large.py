"""Files as cameras make them: 24 megapixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from scripts.benchmarking.bench import in_turn
from scripts.benchmarking.contenders import over, probe_decode
from scripts.benchmarking.results import Taken
from scripts.benchmarking.synthetic import draw_photos

if TYPE_CHECKING:
    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.contenders import Contender
    from scripts.benchmarking.results import Fact

_SIZE: Final = (6000, 4000)
_QUICK_SIZE: Final = (600, 400)
_PHOTOS: Final = 8
_LIST: Final = 96


def measure_large(bench: Bench) -> Taken:
    """Decodes large photos in three ways, and classifies a list of them, in turn."""
    size = _QUICK_SIZE if bench.quick else _SIZE
    photos = draw_photos(bench.scratch / "large", size, _PHOTOS, seed=bench.seed)
    once = bench.write_list("large", photos)
    inputs = bench.write_list("large-list", photos if bench.quick else photos * (_LIST // _PHOTOS))
    contenders: dict[str, Contender] = {
        way: partial(probe_decode, bench, once, way) for way in ("ours", "entropy", "full")
    }
    contenders |= {engine.name: over(bench.runner(engine), inputs) for engine in bench.engines}
    samples = in_turn(bench.pairs, contenders, warm=not bench.quick)
    total = sum(path.stat().st_size for path in photos)
    facts: dict[str, Fact] = {
        "megapixels": size[0] * size[1] / 1e6,
        "photo_mb": total / len(photos) / 1e6,
        "photos": inputs.read_text().count("\n"),
    }
    return Taken(samples=samples, facts=facts)
