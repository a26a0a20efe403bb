"""What follows from raw results: rates after the start, bounds, what would move them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.benchmarking.figures import marginal_rates, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmarking.results import Results, Section

ENGINES = ("tensorflow", "openvino", "litert")
ALONE_BATCHES = (8, 32)


def median(values: Sequence[float]) -> float:
    """Returns the median, NaN of nothing."""
    return statistics.median(values) if values else math.nan


def engines_of(section: Section) -> list[str]:
    """Returns birdcli's engines in a section, TensorFlow first."""
    return [name for name in ENGINES if any(key.startswith(f"{name}/") for key in section.samples)]


def fastest_of(section: Section) -> str:
    """Returns the last of birdcli's engines in a section, which is the fastest."""
    return engines_of(section)[-1]


def rates_after_start(section: Section, name: str) -> list[float]:
    """Returns images/s after the start, one for each round."""
    once = section.samples.get(f"{name}/wall_s", [])
    longer = section.samples.get(f"{name}/longer_wall_s", [])
    extra = section.number("photos") * (section.number("times") - 1)
    return marginal_rates(once, longer, extra) if once and longer else []


def start_s(section: Section, name: str) -> float:
    """Returns what a run takes before and after its images, seconds."""
    starts = [
        wall_s - section.number("photos") / rate
        for wall_s, rate in zip(
            section.samples.get(f"{name}/wall_s", []),
            rates_after_start(section, name),
            strict=False,
        )
    ]
    return median(starts)


def inference_core_ms(section: Section, name: str) -> list[float]:
    """Returns what inference alone costs at the better batch size, one for each round."""
    series = [
        section.samples.get(f"{name}/alone/batch{size}_core_ms", []) for size in ALONE_BATCHES
    ]
    return [min(values) for values in zip(*series, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Where the cores' time goes for one image of many, milliseconds of one core.

    Attributes:
        cores: How many work.
        decode: Decoding alone.
        inference: Inference alone.
        entropy: What no JPEG decoder can leave out.
        rate: Images/s end to end, after the start.
    """

    cores: int
    decode: float
    inference: float
    entropy: float
    rate: float

    @property
    def bound(self) -> float:
        """Images/s if decoding and inference were all there is, and never waited."""
        return self.rate_with()

    @property
    def total(self) -> float:
        """All the cores' time for one image, idle time included."""
        return self.cores * 1000 / self.rate

    @property
    def rest(self) -> float:
        """Neither decoding nor inference: reading, queues, records, waiting, slowing each other."""
        return max(0.0, self.total - self.decode - self.inference)

    def rate_with(
        self, *, decode: float | None = None, inference: float | None = None, rest: float = 0.0
    ) -> float:
        """Returns images/s if a part cost something else.

        Args:
            decode: Core-milliseconds, None for as now.
            inference: Core-milliseconds, None for as now.
            rest: Core-milliseconds of everything else.
        """
        decode = self.decode if decode is None else decode
        inference = self.inference if inference is None else inference
        return self.cores * 1000 / (decode + inference + rest)


def costs_of(disk: Section, engine: str, cores: int) -> Costs:
    """Returns the medians of what one image costs on an engine."""
    return Costs(
        cores=cores,
        decode=disk.median("decode/core_ms"),
        inference=median(inference_core_ms(disk, engine)),
        entropy=disk.median("entropy/core_ms"),
        rate=median(rates_after_start(disk, engine)),
    )


def shares_of_bound(disk: Section, engine: str, cores: int) -> list[float]:
    """Returns end to end over the bound, one for each round."""
    return [
        rate * (decode + inference) / 1000 / cores
        for rate, decode, inference in zip(
            rates_after_start(disk, engine),
            disk.samples.get("decode/core_ms", []),
            inference_core_ms(disk, engine),
            strict=True,
        )
    ]


def original_s(http: Section, count: float) -> list[float]:
    """Returns what the original loop takes for `count` URLs, one for each round.

    From its start with one URL, and what each further one takes.
    """
    further = http.number("original_urls") - 1
    return [
        one + (wall - one) / further * (count - 1)
        for one, wall in zip(
            http.samples.get("original/one_wall_s", []),
            http.samples.get("original/wall_s", []),
            strict=True,
        )
    ]


def speedups(section: Section, slow: Sequence[float], fast: str) -> list[float]:
    """Returns how many times faster birdcli's whole process is, round by round."""
    return ratios(slow, section.samples.get(fast, [])) if slow else []


def cores_of(results: Results) -> int:
    """Returns how many cores the machine had, from what the scaling or any section says."""
    for section in results.sections.values():
        for part in section.machine.split(", "):
            number, _, word = part.partition(" ")
            if word == "cores":
                return int(number)
    return 1


def cold_split(cold: Section, engine: str) -> list[tuple[str, float]]:
    """Returns where the time to the first record of one photo goes, seconds, in order.

    Interpreter and command line are those of `birdcli --version`; what the engine takes is what
    birdcli says itself; the rest is what remains of the whole.
    """
    whole = cold.median(f"{engine}/1/first_line_s")
    python, cli = cold.median("python/wall_s"), cold.median("cli/wall_s")
    parts = [
        ("interpreter", python),
        ("command line", cli - python),
        ("engine's import", _known(cold, f"{engine}/1/import_s")),
        ("model", _known(cold, f"{engine}/1/model_s")),
        ("golden outputs", _known(cold, f"{engine}/1/first_batch_s")),
    ]
    rest = whole - sum(seconds for _, seconds in parts)
    return [*parts, ("all else", max(0.0, rest))]


def _known(section: Section, name: str) -> float:
    return section.median(name) if name in section.samples else 0.0


def alone_by_batch(engines: Section) -> dict[str, dict[int, float]]:
    """Returns core-milliseconds of inference alone by batch size, by engine and precision."""
    found: dict[str, dict[int, float]] = {}
    for name in str(engines.facts["variants"]).split(","):
        prefix = f"{name}/alone/batch"
        sizes = sorted(
            int(key.removeprefix(prefix).removesuffix("_core_ms"))
            for key in engines.samples
            if key.startswith(prefix)
        )
        found[name] = {size: engines.median(f"{prefix}{size}_core_ms") for size in sizes}
    return found


def rates_by_setting(scaling: Section, engine: str, option: str) -> dict[int, float]:
    """Returns images/s after the start by the value of an option, ascending."""
    prefix, suffix = f"{engine}/{option} ", "/wall_s"
    values = sorted(
        int(key.removeprefix(prefix).removesuffix(suffix))
        for key in scaling.samples
        if key.startswith(prefix) and key.endswith(suffix)
    )
    return {value: median(rates_after_start(scaling, f"{prefix}{value}")) for value in values}
