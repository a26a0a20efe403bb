"""The parts of the report that measure, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from scripts.benchmarking.sections.agreement import measure_agreement
from scripts.benchmarking.sections.cold import measure_cold
from scripts.benchmarking.sections.commands import measure_commands
from scripts.benchmarking.sections.disk import measure_disk
from scripts.benchmarking.sections.engines import measure_engines
from scripts.benchmarking.sections.http import measure_http
from scripts.benchmarking.sections.large import measure_large
from scripts.benchmarking.sections.memory import measure_memory
from scripts.benchmarking.sections.scaling import measure_scaling
from scripts.benchmarking.sections.tests import measure_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.results import Taken


class Measuring(Protocol):
    """A section: it measures."""

    def __call__(self, bench: Bench, *, full: bool) -> Taken:
        """Measures; `full` also takes what needs many minutes."""
        ...


def _always(measure: Callable[[Bench], Taken]) -> Measuring:
    return lambda bench, *, full: measure(bench)


SECTIONS: Final[Mapping[str, Measuring]] = {
    "commands": _always(measure_commands),
    "cold": _always(measure_cold),
    "disk": _always(measure_disk),
    "http": lambda bench, *, full: measure_http(bench, all_urls=full),
    "engines": _always(measure_engines),
    "scaling": _always(measure_scaling),
    "large": _always(measure_large),
    "memory": _always(measure_memory),
    "agreement": _always(measure_agreement),
    "tests": _always(measure_tests),
}
