"""Where each millisecond goes, what bounds it, and what would move it: arithmetic, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scripts.benchmarking import derived
from scripts.benchmarking.derived import median
from scripts.benchmarking.markdown import duration, picture, table, three
from scripts.benchmarking.names import NAMES

if TYPE_CHECKING:
    from scripts.benchmarking.derived import Costs
    from scripts.benchmarking.results import Results, Section

_MANY_CORES: Final = 8
_MILLION: Final = 1_000_000
_LATENCY_S: Final = 0.1


def analyse(results: Results) -> list[str]:
    """Returns the chapter for one image, a hundred, a million; empty without `disk`."""
    disk = results.sections.get("disk")
    if disk is None:
        return []
    cores = derived.cores_of(results)
    names = derived.engines_of(disk)
    return [
        "## Where each millisecond goes",
        "",
        *_one_image(results),
        *_a_hundred(results, disk, names),
        *_a_million(disk, names, cores),
        *_what_would_move_it(results, disk, names[-1], cores),
    ]


def _one_image(results: Results) -> list[str]:
    cold = results.sections.get("cold")
    if cold is None:
        return []
    names = derived.engines_of(cold)
    splits = {name: derived.cold_split(cold, name) for name in names}
    rows = [
        [part, *(f"{1000 * splits[name][at][1]:,.0f}" for name in names)]
        for at, (part, _) in enumerate(splits[names[0]])
    ]
    whole = [f"**{1000 * cold.median(f'{name}/1/first_line_s'):,.0f}**" for name in names]
    largest = {name: max(splits[name], key=lambda pair: pair[1]) for name in names}
    said = "; ".join(
        f"{NAMES[name]}: {part}, {seconds / cold.median(f'{name}/1/first_line_s'):.0%}"
        for name, (part, seconds) in largest.items()
    )
    ends = "; ".join(f"{NAMES[name]} {three(median(_exits(cold, name)))} s" for name in names)
    return [
        "### One image",
        "",
        "Nothing is shared out: the time is that of the start and of one picture. Interpreter and "
        "command line are those of `birdcli --version`; what the engine takes, birdcli says itself "
        "(the `Start` line of its summary); the rest is the difference.",
        "",
        *table(["milliseconds", *(NAMES[name] for name in names)],
               [*rows, ["to the record on stdout", *whole]]),
        f"The largest part: {said}. After the record, until the process is gone: {ends}.",
        "",
    ]  # fmt: skip


def _exits(cold: Section, name: str) -> list[float]:
    walls = cold.samples[f"{name}/1/wall_s"]
    firsts = cold.samples[f"{name}/1/first_line_s"]
    return [wall - first for wall, first in zip(walls, firsts, strict=True)]


def _a_hundred(results: Results, disk: Section, names: list[str]) -> list[str]:
    rows = []
    for name in names:
        start, rate = derived.start_s(disk, name), median(derived.rates_after_start(disk, name))
        work = 100 / rate
        rows.append(
            [
                NAMES[name], three(start), three(work), three(start + work),
                f"{start / (start + work):.0%}", f"{start * rate:,.0f}",
            ]
        )  # fmt: skip
    cold = results.sections.get("cold")
    measured = ""
    if cold is not None:
        found = [
            f"{NAMES[name]} {three(cold.median(f'{name}/100/wall_s'))} s"
            for name in names
            if f"{name}/100/wall_s" in cold.samples
        ]
        measured = f" Measured for 100 photos: {'; '.join(found)}." if found else ""
    return [
        "### A hundred images",
        "",
        "A start, then 100 / rate. The start is what a run over the set takes less than its photos "
        f"would at the rate after the start.{measured}",
        "",
        *table(
            [
                "seconds", "start", "100 images", "together", "of it the start",
                "images until half the time is work",
            ],
            rows,
        ),
    ]  # fmt: skip


def _a_million(disk: Section, names: list[str], cores: int) -> list[str]:
    rows = []
    for name in names:
        costs = derived.costs_of(disk, name, cores)
        rows.append(
            [
                NAMES[name],
                three(costs.entropy),
                three(costs.decode - costs.entropy),
                three(costs.inference),
                three(costs.rest),
                f"**{three(costs.total)}**",
                duration(_MILLION / costs.rate),
            ]
        )
    lines = [
        "### A million images",
        "",
        "The start no longer counts; every millisecond of a core does. Decoding and inference are "
        "those measured alone, the total is the cores over the rate end to end. What remains is "
        "all else: reading, hashing, queues, records, waiting, and the parts slowing each other "
        "in the caches.",
        "",
        *table(
            [
                "milliseconds of one core for an image", "entropy decoding", "rest of decoding",
                "inference", "all else", "together", "a million images",
            ],
            rows,
        ),
        *picture("costs", "Bars: where an image's time goes"),
    ]  # fmt: skip
    for name in names:
        costs = derived.costs_of(disk, name, cores)
        lines.append(f"- {NAMES[name]} is bound by {_bound_by(costs)}.")
    return [*lines, ""]


def _bound_by(costs: Costs) -> str:
    parts = {"decoding": costs.decode, "inference": costs.inference, "all else": costs.rest}
    ordered = sorted(parts, key=lambda part: -parts[part])
    return ", then ".join(f"{part} ({parts[part] / costs.total:.0%})" for part in ordered)


def _what_would_move_it(results: Results, disk: Section, name: str, cores: int) -> list[str]:
    costs = derived.costs_of(disk, name, cores)
    d, i, rest = costs.decode, costs.inference, costs.rest
    rows = [
        _change(
            costs,
            "inference elsewhere (a GPU that keeps up, its hand-over not counted)",
            f"{cores} x 1000 / ({three(d)} + {three(rest)})",
            costs.rate_with(inference=0.0, rest=rest),
        ),
        _change(
            costs,
            "inference at half the cost (int8, if it keeps its promise)",
            f"{cores} x 1000 / ({three(d)} + {three(i)} / 2 + {three(rest)})",
            costs.rate_with(inference=i / 2, rest=rest),
        ),
        _change(
            costs,
            "decoding at what its entropy coding alone costs",
            f"{cores} x 1000 / ({three(costs.entropy)} + {three(i)} + {three(rest)})",
            costs.rate_with(decode=costs.entropy, rest=rest),
        ),
        _change(
            costs,
            "no decoding (the host sends thumbnails of the model's size)",
            f"{cores} x 1000 / ({three(i)} + {three(rest)})",
            costs.rate_with(decode=0.0, rest=rest),
        ),
        _change(
            costs,
            "nothing but decoding and inference (the bound)",
            f"{cores} x 1000 / ({three(d)} + {three(i)})",
            costs.bound,
        ),
    ]
    return [
        "### What would move it, and by how much",
        "",
        f"For {NAMES[name]}, computed from the parts above.",
        "",
        *table(["if", "arithmetic", "images/s", "gain"], rows),
        *_more_cores(results, name, cores, costs),
        *_network(disk, costs),
    ]


def _change(costs: Costs, what: str, arithmetic: str, rate: float) -> list[str]:
    return [what, arithmetic, three(rate), f"{rate / costs.rate:.2f}x"]


def _more_cores(results: Results, name: str, cores: int, costs: Costs) -> list[str]:
    scaling = results.sections.get("scaling")
    if scaling is None:
        return []
    by_threads = derived.rates_by_setting(scaling, name, "--threads")
    if cores < 2 or cores not in by_threads or 1 not in by_threads:
        return []
    one, all_of_them = by_threads[1], by_threads[cores]
    efficiency = all_of_them / one / cores
    limit = f"{three(costs.rate)} x {_MANY_CORES} / {cores}"
    return [
        f"- **More cores.** `--threads 1` gives {three(one)} images/s and `--threads {cores}` "
        f"{three(all_of_them)}: {efficiency:.0%} of {cores} times as much (with one thread, the "
        f"other core still serves the event loop). With {_MANY_CORES} cores of this kind at most "
        f"{limit} = {three(costs.rate * _MANY_CORES / cores)} images/s; several processes with "
        "`--shard I/N` get there without sharing an interpreter.",
    ]


def _network(disk: Section, costs: Costs) -> list[str]:
    kilobytes = disk.number("photo_kb")
    megabits = costs.rate * kilobytes * 8 / 1000
    return [
        f"- **A nearer network** moves nothing as long as enough downloads are under way: at "
        f"{three(costs.rate)} images/s a server that takes {_LATENCY_S * 1000:.0f} ms to answer "
        f"needs {three(costs.rate)} x {_LATENCY_S:g} s = {three(costs.rate * _LATENCY_S)} at once, "
        f"and photos of {kilobytes:.0f} KB a line of {three(costs.rate)} x {kilobytes:.0f} KB x 8 "
        f"= {three(megabits)} Mbit/s. Below either, the network is the bound.",
        "",
    ]
