"""The plots of the report, each for light and for dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from scripts.benchmarking import derived
from scripts.benchmarking.markdown import three
from scripts.benchmarking.names import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from scripts.benchmarking.results import Results

_COLOURS: Final = {
    "tensorflow": "#e8710a",
    "openvino": "#1a9c5b",
    "litert": "#1a9c5b",
    "keras": "#8b949e",
    "threads": "#8b949e",
    "original": "#8b949e",
}
_PARTS: Final = ("#3f7fd1", "#8250df", "#e8710a", "#1a9c5b", "#bf3989")
_REST: Final = "#8b949e"
_SECONDS: Final = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
_MARKERS: Final = "osD^vP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of a page.

    Attributes:
        name: Part of the file's name.
        ink: Text and axes.
        grid: Lines behind.
    """

    name: str
    ink: str
    grid: str


LIGHT: Final = Theme(name="light", ink="#1f2328", grid="#d8dee4")
DARK: Final = Theme(name="dark", ink="#d1d7e0", grid="#373e47")


def write_plots(results: Results, folder: Path) -> set[str]:
    """Draws what there are results for, as SVG with a transparent background.

    Args:
        results: What was measured.
        folder: Where the files go, as `NAME-light.svg` and `NAME-dark.svg`.

    Returns:
        The names of the plots that could be drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = set()
    for name, draw in PLOTS.items():
        for theme in (LIGHT, DARK):
            with mpl.rc_context(_settings(theme, name)):
                figure = Figure(figsize=(8, 3.6), layout="constrained")
                if not draw(results, figure.subplots()):
                    continue
                drawn.add(name)
                # Without the time of day: the same results give the same bytes.
                figure.savefig(
                    folder / f"{name}-{theme.name}.svg", transparent=True, metadata={"Date": None}
                )
    return drawn


def _settings(theme: Theme, name: str) -> dict[Any, Any]:  # it types each of its 300 keys
    return {
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.edgecolor": theme.grid,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.grid": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.labelcolor": theme.ink,
        "svg.hashsalt": name,
        "font.size": 10,
    }


def _throughput(results: Results, axes: Axes) -> bool:
    disk, http = results.sections.get("disk"), results.sections.get("http")
    if disk is None:
        return False
    engines = derived.engines_of(disk)
    rates = {
        name: derived.median(derived.rates_after_start(disk, name))
        for name in (*reversed(engines), "threads", "keras")
        if derived.rates_after_start(disk, name)
    }
    if http is not None and (walls := derived.original_s(http, http.number("urls"))):
        one = http.median("original/one_wall_s")
        rates["original"] = (http.number("urls") - 1) / (derived.median(walls) - one)
    _bars(axes, [NAMES[name] for name in rates], list(rates.values()),
          [_COLOURS[name] for name in rates])  # fmt: skip
    axes.set_title("Images/s after the start, more is better")
    return True


def _bars(
    axes: Axes, names: Sequence[str], values: Sequence[float], colours: Sequence[str]
) -> None:
    places = range(len(names), 0, -1)
    axes.barh(places, values, color=colours, height=0.62)
    axes.set_yticks(places, names)
    for place, value in zip(places, values, strict=True):
        axes.annotate(three(value), (value, place), (5, 0), textcoords="offset points", va="center")
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)


def _stacked(
    axes: Axes, rows: Mapping[str, Sequence[float]], parts: Sequence[str], total: str
) -> None:
    places = range(len(rows), 0, -1)
    starts = [0.0] * len(rows)
    colours = [*_PARTS[: len(parts) - 1], _REST]
    for part, colour, values in zip(parts, colours, zip(*rows.values(), strict=True), strict=True):
        axes.barh(places, values, left=starts, color=colour, height=0.55, label=part)
        starts = [start + value for start, value in zip(starts, values, strict=True)]
    for place, end in zip(places, starts, strict=True):
        axes.annotate(
            total.format(three(end)), (end, place), (5, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, list(rows))
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    figure = axes.get_figure()
    assert figure is not None
    figure.legend(
        loc="outside lower center", ncols=len(parts), fontsize=8.5, columnspacing=1.1,
        handlelength=1.2,
    )  # fmt: skip


def _cold(results: Results, axes: Axes) -> bool:
    cold = results.sections.get("cold")
    if cold is None:
        return False
    rows = {
        NAMES[name]: [seconds for _, seconds in derived.cold_split(cold, name)]
        for name in derived.engines_of(cold)
    }
    parts = [part for part, _ in derived.cold_split(cold, derived.engines_of(cold)[0])]
    _stacked(axes, rows, parts, "{} s")
    axes.set_title("One photo, from the start of the process to its record, seconds")
    return True


def _costs(results: Results, axes: Axes) -> bool:
    disk = results.sections.get("disk")
    if disk is None:
        return False
    rows = {}
    for name in derived.engines_of(disk):
        costs = derived.costs_of(disk, name, derived.cores_of(results))
        rows[NAMES[name]] = [
            costs.entropy, costs.decode - costs.entropy, costs.inference, costs.rest
        ]  # fmt: skip
    parts = ("entropy decoding", "rest of decoding", "inference", "all else, and waiting")
    _stacked(axes, rows, parts, "{} ms")
    axes.set_title("Where an image's time goes, milliseconds of one core")
    return True


def _list_length(results: Results, axes: Axes) -> bool:
    cold, disk = results.sections.get("cold"), results.sections.get("disk")
    if cold is None or disk is None:
        return False
    for name, marker in zip((*derived.engines_of(disk), "keras"), _MARKERS, strict=False):
        points = [
            (size, cold.median(f"{name}/{size}/wall_s"))
            for size in (1, 10, 100)
            if f"{name}/{size}/wall_s" in cold.samples
        ]
        photos = disk.number("photos")
        points.append((int(photos), disk.median(f"{name}/wall_s")))
        points.append((int(photos * disk.number("times")), disk.median(f"{name}/longer_wall_s")))
        kept = [(size, wall_s) for size, wall_s in points if wall_s == wall_s]
        if kept:
            axes.plot(*zip(*kept, strict=True), color=_COLOURS[name], marker=marker,
                      label=NAMES[name])  # fmt: skip
    http = results.sections.get("http")
    if http is not None and "original/wall_s" in http.samples:
        lengths = (1, http.number("original_urls"))
        walls = (http.median("original/one_wall_s"), http.median("original/wall_s"))
        axes.plot(lengths, walls, color=_COLOURS["original"], marker="x", linestyle=":",
                  label=NAMES["original"])  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_yticks([seconds for seconds in _SECONDS if low <= seconds <= high])
    axes.set_xlabel("images in the list")
    axes.set_title("Seconds for a whole process")
    axes.legend()
    return True


def _batches(results: Results, axes: Axes) -> bool:
    engines = results.sections.get("engines")
    if engines is None:
        return False
    cores = derived.cores_of(results)
    for at, (name, costs) in enumerate(derived.alone_by_batch(engines).items()):
        rates = [cores * 1000 / core_ms for core_ms in costs.values()]
        axes.plot(list(costs), rates, marker=_MARKERS[at], color=_PARTS[at], label=name)
    axes.set_xscale("log", base=2)
    sizes = sorted({size for costs in derived.alone_by_batch(engines).values() for size in costs})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("images in a batch")
    axes.set_title("Inference alone, images/s, all cores busy")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return True


def _latency(results: Results, axes: Axes) -> bool:
    scaling = results.sections.get("scaling")
    if scaling is None:
        return False
    name = derived.fastest_of(scaling)
    rates = derived.rates_by_setting(scaling, name, "--per-host")
    axes.plot(list(rates), list(rates.values()), marker="o", color=_COLOURS[name],
              label=NAMES[name])  # fmt: skip
    latency_s = scaling.number("latency_ms") / 1000
    ceiling = max(rates.values()) * 1.15
    limits = [(number, number / latency_s) for number in rates if number / latency_s <= ceiling]
    if len(limits) > 1:
        axes.plot(*zip(*limits, strict=True), linestyle=":", color=_COLOURS["keras"],
                  label="what that many connections could fetch")  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(rates), [str(number) for number in rates])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("--per-host: downloads at once")
    axes.set_title(f"Images/s after the start, from a server that waits {latency_s * 1000:.0f} ms")
    axes.legend(loc="lower right")
    return True


PLOTS: Final[Mapping[str, Callable[[Results, Axes], bool]]] = {
    "throughput": _throughput,
    "cold": _cold,
    "costs": _costs,
    "list-length": _list_length,
    "batches": _batches,
    "latency": _latency,
}
