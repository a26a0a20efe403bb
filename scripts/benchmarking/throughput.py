"""The report's chapters on whole runs; each is empty where nothing was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmarking import derived
from scripts.benchmarking.derived import median
from scripts.benchmarking.figures import ratios
from scripts.benchmarking.markdown import duration, picture, spread, table, three
from scripts.benchmarking.names import NAMES

if TYPE_CHECKING:
    from scripts.benchmarking.results import Results, Section


def headline(results: Results) -> list[str]:
    """One table to take home: TensorFlow first, `fast` beside it, then the rest of the world."""
    disk, cold, http = (results.sections.get(name) for name in ("disk", "cold", "http"))
    if disk is None:
        return []
    engines = derived.engines_of(disk)
    others = [name for name in ("keras", "threads") if f"{name}/wall_s" in disk.samples]
    names = [*engines, *others]
    rows = [
        ["one photo, cold, s", *(_first_record(cold, name) for name in names)],
        [
            f"{disk.number('photos'):,.0f} photos from disk, whole process, s",
            *(three(disk.median(f"{name}/wall_s")) for name in names),
        ],
        [
            "images/s after the start",
            *(f"**{three(median(derived.rates_after_start(disk, name)))}**" for name in names),
        ],
        [
            "CPU for the set, s",
            *(three(disk.median(f"{name}/cpu_s")) for name in names),
        ],
        [
            "peak memory, MB",
            *(f"{disk.median(f'{name}/peak_mb'):,.0f}" for name in names),
        ],
    ]
    if http is not None and "original/wall_s" in http.samples:
        count = http.number("urls")
        names.append("original")
        for row in rows:
            row.append("-")
        rows[0][-1] = _first_record(cold, "original")
        walls = derived.original_s(http, count)
        rate = (count - 1) / (median(walls) - http.median("original/one_wall_s"))
        rows[2][-1] = f"**{three(rate)}**"
        urls = [three(http.median(f"{name}/urls/wall_s")) for name in engines]
        blanks = ["-"] * len(others)
        rows.insert(
            1, [f"{count:.0f} URLs on loopback, whole process, s", *urls, *blanks,
                three(median(walls))]
        )  # fmt: skip
    return [
        *table(["median", *(NAMES[name] for name in names)], rows),
        *picture("throughput", "Bars: images per second after the start"),
    ]


def _first_record(cold: Section | None, name: str) -> str:
    if cold is None:
        return "-"
    kind = "url" if name == "original" else "1"
    return three(cold.median(f"{name}/{kind}/first_line_s"))


def from_disk(results: Results) -> list[str]:
    """The whole set from disk."""
    disk = results.sections.get("disk")
    if disk is None:
        return []
    names = [*derived.engines_of(disk), "keras", "threads"]
    names = [name for name in names if f"{name}/wall_s" in disk.samples]
    base = "keras" if "keras" in names else names[0]
    cores = derived.cores_of(results)
    rows = []
    for name in names:
        after = derived.rates_after_start(disk, name)
        rows.append(
            [
                NAMES[name],
                spread(disk.samples[f"{name}/wall_s"]),
                spread(after, strong=True),
                spread(ratios(disk.samples[f"{base}/wall_s"], disk.samples[f"{name}/wall_s"])),
                spread(ratios(after, derived.rates_after_start(disk, base))),
            ]
        )
    bounds = [
        [
            NAMES[name],
            three(costs.decode),
            three(costs.inference),
            three(costs.bound),
            three(costs.rate),
            spread(derived.shares_of_bound(disk, name, cores), strong=True),
        ]
        for name in derived.engines_of(disk)
        for costs in [derived.costs_of(disk, name, cores)]
    ]
    return [
        "## From disk",
        "",
        f"{disk.number('photos'):,.0f} photos of {disk.number('photo_kb'):.0f} KB on average. "
        "Medians, with the range over the rounds.",
        "",
        *table(
            [
                "", "whole process, s", "after the start, images/s",
                f"x {NAMES[base]}, whole", f"x {NAMES[base]}, after start",
            ],
            rows,
        ),
        f"What {cores} cores could do at most, if decoding and inference were all there is: "
        "each was measured alone in the same rounds, with all cores busy, in milliseconds of one "
        f"core. Bound = {cores} x 1000 / (decode + inference).",
        "",
        *table(
            ["", "decode, ms", "inference, ms", "bound, images/s", "end to end", "reached"], bounds
        ),
        *picture("list-length", "Lines: seconds of a whole process by the length of its list"),
    ]  # fmt: skip


def cold_starts(results: Results) -> list[str]:
    """Fresh processes."""
    cold = results.sections.get("cold")
    if cold is None:
        return []
    rows = []
    for name in (*derived.engines_of(cold), "keras", "original"):
        first, url = f"{name}/1/first_line_s", f"{name}/url/first_line_s"
        rows.append(
            [
                NAMES[name],
                spread(cold.samples.get(first, [])),
                spread(cold.samples.get(url, [])),
                *(spread(cold.samples.get(f"{name}/{size}/wall_s", [])) for size in (1, 10, 100)),
            ]
        )
    return [
        "## Cold starts",
        "",
        "A fresh process each time, the files in the system's cache. The first two columns end as "
        "the first record has arrived on the pipe, the others when the process is gone.",
        "",
        *table(
            [
                "seconds", "first record, one photo", "first record, one URL",
                "1 photo", "10 photos", "100 photos",
            ],
            rows,
        ),
        *picture("cold", "Bars: where the time to the first record goes"),
    ]  # fmt: skip


def over_http(results: Results) -> list[str]:
    """The same photos from a server on the loopback."""
    http = results.sections.get("http")
    if http is None:
        return []
    titles = {
        "disk": "from disk",
        "http0": "over HTTP, 0 ms",
        "http0-64": "over HTTP, 0 ms, `--per-host 64`",
        "http100-64": "over HTTP, 100 ms, `--per-host 64`",
    }
    rows = []
    for engine in derived.engines_of(http):
        disk = derived.rates_after_start(http, f"{engine}/disk")
        for name, title in titles.items():
            rates = derived.rates_after_start(http, f"{engine}/{name}")
            rows.append(
                [
                    f"{NAMES[engine]}, {title}",
                    spread(http.samples[f"{engine}/{name}/wall_s"]),
                    spread(rates, strong=True),
                    spread(ratios(rates, disk)),
                ]
            )
    for name in ("img2dataset",):
        if f"{name}/wall_s" in http.samples:
            rows.append([NAMES[name], spread(http.samples[f"{name}/wall_s"]), "-", "-"])
    text = [
        "## Over HTTP",
        "",
        f"A server on the loopback, a process of its own on the same cores, which costs "
        f"{three(http.number('server_core_ms'))} ms of a core per photo; that is in every number "
        "below.",
        "",
        *table(["", "whole process, s", "after the start, images/s", "over from disk"], rows),
    ]
    count = http.number("urls")
    walls = derived.original_s(http, count)
    if walls:
        one, more = (http.median(f"original/{name}") for name in ("one_wall_s", "wall_s"))
        further = (more - one) / (http.number("original_urls") - 1)
        speeds = "; ".join(
            f"{NAMES[engine]} {three(http.median(f'{engine}/urls/wall_s'))} s, "
            f"**{spread(derived.speedups(http, walls, f'{engine}/urls/wall_s'))} times** as fast"
            for engine in derived.engines_of(http)
        )
        measured = http.number("original_urls")
        how = "measured" if measured == count else f"from {measured:.0f} measured ones"
        text += [
            f"The task's original loop takes {three(one)} s for one URL and {three(further)} s for "
            f"each further one: {duration(median(walls))} for {count:.0f} ({how}). {speeds}.",
            "",
        ]
    return text
