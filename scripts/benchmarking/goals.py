"""Every goal of the report against what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scripts.benchmarking import derived
from scripts.benchmarking.derived import median
from scripts.benchmarking.figures import ratios
from scripts.benchmarking.markdown import three

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmarking.results import Results

_NAMES: Final = {"tensorflow": "TensorFlow", "openvino": "`fast`", "litert": "LiteRT"}
_COMPETENT_RATE: Final = 75.0
"""Images/s up to which the `tf.data` baseline counts as this machine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One goal.

    Attributes:
        what: What is compared.
        wanted: The number to reach.
        at_most: Whether it is an upper limit.
        unit: Follows the number.
        found: What was measured; NaN if it was not.
    """

    what: str
    wanted: float
    at_most: bool = False
    unit: str = ""
    found: float

    @property
    def missed_by(self) -> float:
        """How far it is missed, as a share of what was wanted; 0 if it is met."""
        over = self.found / self.wanted - 1
        return max(0.0, over if self.at_most else -over)

    def cells(self) -> list[str]:
        """Returns its row: what, the goal, what was measured, whether that meets it."""
        if math.isnan(self.found):
            outcome = "not measured"
        else:
            outcome = "met" if not self.missed_by else f"**missed by {self.missed_by:.0%}**"
        sign = "≤" if self.at_most else "≥"
        wanted = f"{sign} {self.wanted:g}{self.unit}"
        return [self.what, wanted, f"{three(self.found)}{self.unit}", outcome]


def iter_goals(results: Results) -> Iterator[Goal]:
    """Yields every goal whose section was measured."""
    yield from _disk_goals(results)
    yield from _http_goals(results)
    yield from _cold_goals(results)
    yield from _agreement_goals(results)
    yield from _memory_goals(results)


def _disk_goals(results: Results) -> Iterator[Goal]:
    disk = results.sections.get("disk")
    if disk is None:
        return
    engines = [name for name in derived.engines_of(disk) if name in _NAMES]
    for engine in engines:
        shares = derived.shares_of_bound(disk, engine, derived.cores_of(results))
        yield Goal(
            what=f"from disk, after start, over the bound: {_NAMES[engine]}",
            wanted=0.85,
            found=median(shares),
        )
    keras = derived.rates_after_start(disk, "keras")
    if not keras:
        return
    for engine in engines:
        speed = ratios(derived.rates_after_start(disk, engine), keras)
        limit = "" if median(keras) <= _COMPETENT_RATE else ", which is faster here than the goal's"
        yield Goal(
            what=f"over `tf.data` + KerasLayer ({three(median(keras))} images/s{limit}), "
            f"after start: {_NAMES[engine]}",
            wanted=2.5,
            unit="x",
            found=median(speed),
        )
    for engine in engines:
        speed = derived.speedups(disk, disk.samples["keras/wall_s"], f"{engine}/wall_s")
        yield Goal(
            what=f"over `tf.data` + KerasLayer, whole process: {_NAMES[engine]}",
            wanted=3.0 if engine == "openvino" else 1.6,
            unit="x",
            found=median(speed),
        )


def _http_goals(results: Results) -> Iterator[Goal]:
    http = results.sections.get("http")
    if http is None:
        return
    engines = derived.engines_of(http)
    count = http.number("urls")
    original = derived.original_s(http, count)
    for engine in engines if original else ():
        yield Goal(
            what=f"over the task's original loop, {count:.0f} URLs on loopback, whole process: "
            f"{_NAMES[engine]}",
            wanted=60.0 if engine == "openvino" else 20.0,
            unit="x",
            found=median(derived.speedups(http, original, f"{engine}/urls/wall_s")),
        )
    theirs = http.samples.get("img2dataset/wall_s", [])
    if theirs and "openvino" in engines:
        yield Goal(
            what="over img2dataset's download and resize, whole process, while also "
            "classifying: `fast`",
            wanted=2.5,
            unit="x",
            found=median(derived.speedups(http, theirs, "openvino/http0/wall_s")),
        )
    for engine in engines:
        disk, near, near_64, far = (
            derived.rates_after_start(http, f"{engine}/{name}")
            for name in ("disk", "http0", "http0-64", "http100-64")
        )
        yield Goal(
            what=f"over loopback HTTP, 0 ms, relative to from disk, after start: {_NAMES[engine]}",
            wanted=0.8,
            found=median(ratios(near, disk)),
        )
        yield Goal(
            what="100 ms server latency relative to 0 ms, both `--per-host 64`, after start: "
            f"{_NAMES[engine]}",
            wanted=0.9,
            found=median(ratios(far, near_64)),
        )


def _cold_goals(results: Results) -> Iterator[Goal]:
    cold = results.sections.get("cold")
    if cold is None or "openvino" not in derived.engines_of(cold):
        return
    fast = cold.samples["openvino/1/first_line_s"]
    yield Goal(
        what="one photo, cold, process start to record on stdout: `fast`",
        wanted=0.8, at_most=True, unit=" s", found=median(fast),
    )  # fmt: skip
    yield Goal(
        what="the same over TensorFlow's",
        wanted=0.25,
        at_most=True,
        found=median(ratios(fast, cold.samples["tensorflow/1/first_line_s"])),
    )
    yield Goal(
        what="one URL on loopback, cold: `fast`",
        wanted=1.0, at_most=True, unit=" s", found=cold.median("openvino/url/first_line_s"),
    )  # fmt: skip


def _agreement_goals(results: Results) -> Iterator[Goal]:
    agreement = results.sections.get("agreement")
    if agreement is None or "variants" not in agreement.facts:
        return
    names = str(agreement.facts["variants"]).split(",")
    reference = agreement.number("tensorflow/reference/right")
    for name in names:
        if name.endswith("/reference"):
            continue
        yield Goal(
            what="same best guess as the untouched module where that is clear (margin above 5 "
            f"quanta): `{name}`",
            wanted=99.0,
            unit=" %",
            found=100 * agreement.number(f"{name}/clear_same") / agreement.number("clear"),
        )
        yield Goal(
            what=f"photos named rightly, of {agreement.number('labelled'):.0f}: `{name}`",
            wanted=reference - 1,
            found=agreement.number(f"{name}/right"),
        )


def _memory_goals(results: Results) -> Iterator[Goal]:
    memory = results.sections.get("memory")
    if memory is None:
        return
    short, long = (memory.number(name) for name in ("short", "long"))
    for engine in derived.engines_of(memory):
        yield Goal(
            what=f"peak memory, {long:,.0f} lines over {short:,.0f} lines: {_NAMES[engine]}",
            wanted=60.0,
            at_most=True,
            unit=" MB",
            found=memory.median(f"{engine}/{long:.0f}/peak_mb")
            - memory.median(f"{engine}/{short:.0f}/peak_mb"),
        )
