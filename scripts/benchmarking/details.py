"""The report's chapters on what a run depends on; each is empty where nothing was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scripts.benchmarking import derived
from scripts.benchmarking.markdown import picture, spread, table, three
from scripts.benchmarking.names import NAMES
from scripts.benchmarking.sections.commands import COMMANDS

if TYPE_CHECKING:
    from scripts.benchmarking.results import Results, Section

_GOAL_S: Final = 0.3


def engines(results: Results) -> list[str]:
    """Engines and precisions."""
    found, agreement = results.sections.get("engines"), results.sections.get("agreement")
    if found is None:
        return []
    rows = []
    for name, costs in derived.alone_by_batch(found).items():
        best = min(costs, key=costs.__getitem__)
        rows.append(
            [
                f"`{name}`",
                spread(found.samples[f"{name}/wall_s"]),
                spread(derived.rates_after_start(found, name), strong=True),
                f"{three(costs[best])} (batch {best})",
                _agreeing(agreement, name),
            ]
        )
    text = [
        "## Engines and precisions",
        "",
        "`reference` is the untouched module; the others run the prepared graph.",
        "",
        *table(
            [
                "", "whole process, s", "after the start, images/s", "inference alone, ms",
                "same best guess, clear ones",
            ],
            rows,
        ),
        *picture("batches", "Lines: inference alone by batch size"),
    ]  # fmt: skip
    if agreement is not None and "variants" in agreement.facts:
        text += _disagreements(agreement)
    return text


def _agreeing(agreement: Section | None, name: str) -> str:
    if agreement is None or f"{name}/clear_same" not in agreement.facts:
        return "-"
    return f"{agreement.number(f'{name}/clear_same'):.0f} of {agreement.number('clear'):.0f}"


def _disagreements(agreement: Section) -> list[str]:
    names = str(agreement.facts["variants"]).split(",")
    rows = [
        [
            f"`{name}`",
            f"{agreement.number(f'{name}/same'):.0f} of {agreement.number('views'):.0f}",
            _agreeing(agreement, name),
            f"{agreement.number(f'{name}/right'):.0f} of {agreement.number('labelled'):.0f}",
        ]
        for name in names
    ]
    lines = [
        "Do they name the same birds? Real photos, each also mirrored, its centre and a corner; "
        "*clear* are those where the untouched module's first guess is more than 5 quanta (0.41 "
        "nat) ahead of its second.",
        "",
        *table(["", "same best guess", "of the clear ones", "rightly named"], rows),
    ]
    for name in names:
        if other := agreement.facts.get(f"{name}/other"):
            lines += [f"Clear ones that `{name}` names otherwise: {other}.", ""]
    return lines


def scaling(results: Results) -> list[str]:
    """Batch size, threads, downloads at once."""
    found = results.sections.get("scaling")
    if found is None:
        return []
    names = derived.engines_of(found)
    text = ["## Scaling", "", "Images/s after the start.", ""]
    for option in ("--batch-size", "--threads", "--per-host"):
        by_engine = {name: derived.rates_by_setting(found, name, option) for name in names}
        shown = [name for name in names if by_engine[name]]
        if not shown:
            continue
        values = list(by_engine[shown[0]])
        text += table(
            [f"`{option}`", *map(str, values)],
            [
                [NAMES[name], *(three(by_engine[name].get(v, float("nan"))) for v in values)]
                for name in shown
            ],
        )
    return [*text, *picture("latency", "Line: images per second by downloads at once")]


def memory(results: Results) -> list[str]:
    """Memory over the length of the list."""
    found = results.sections.get("memory")
    if found is None:
        return []
    short, long = (found.number(name) for name in ("short", "long"))
    rows = []
    for name in derived.engines_of(found):
        peaks = [found.median(f"{name}/{length:.0f}/peak_mb") for length in (short, long)]
        rows.append(
            [NAMES[name], *(f"{peak:,.0f}" for peak in peaks), f"**{peaks[1] - peaks[0]:+,.0f}**"]
        )
    return [
        "## Memory",
        "",
        f"Small photos ({found.number('width'):.0f}x{found.number('height'):.0f}), each many times "
        "in the list. The list is read as it is used, so its length should not matter.",
        "",
        *table(["peak, MB", f"{short:,.0f} lines", f"{long:,.0f} lines", "difference"], rows),
    ]


def large(results: Results) -> list[str]:
    """Camera files."""
    found = results.sections.get("large")
    if found is None:
        return []
    ours, entropy, full = (found.samples[f"{way}/core_ms"] for way in ("ours", "entropy", "full"))
    photos = found.number("photos")
    rates = "; ".join(
        f"{NAMES[name]} {three(photos / found.median(f'{name}/wall_s'))}"
        for name in derived.engines_of(found)
    )
    return [
        "## Camera files",
        "",
        f"JPEGs of {found.number('megapixels'):.0f} megapixels and "
        f"{found.number('photo_mb'):.1f} MB, decoded to the model's input by all cores at once:",
        "",
        *table(
            ["milliseconds of one core", "median (range)"],
            [
                ["entropy coding alone, which no decoder can leave out", spread(entropy)],
                ["birdcli: decoded at a reduced scale, then resized", spread(ours, strong=True)],
                ["every pixel decoded, then resized", spread(full)],
            ],
        ),
        f"Images/s of a whole process over {photos:.0f} of them: {rates}.",
        "",
    ]


def commands(results: Results) -> list[str]:
    """Commands that must answer at once."""
    found = results.sections.get("commands")
    if found is None:
        return []
    rows = [
        [
            f"`birdcli {' '.join(words)}`",
            spread(found.samples[f"{' '.join(words)}/wall_s"], strong=True),
            str(found.facts[f"{' '.join(words)}/imports"]),
        ]
        for words in COMMANDS
    ]
    return [
        "## Commands that must answer at once",
        "",
        f"The goal is {_GOAL_S} s, and no heavy library imported.",
        "",
        *table(["", "seconds", "heavy imports"], rows),
    ]


def tests(results: Results) -> list[str]:
    """The project's tests."""
    found = results.sections.get("tests")
    if found is None:
        return []
    return [
        "## Tests",
        "",
        f"`./scripts/test` after set-up: {found.median('wall_s'):.0f} s "
        f"({found.facts['closing']}).",
        "",
    ]
