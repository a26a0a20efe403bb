"""What made each number, as the report says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmarking.markdown import duration, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.benchmarking.results import Results


def provenance(results: Results) -> list[str]:
    """What made each number."""
    rows = [
        [
            f"`{section.script}`",
            f"`{section.commit}`",
            str(section.seed),
            str(max(map(len, section.samples.values()), default=1)),
            section.at[:16].replace("T", " "),
            duration(section.took_s),
        ]
        for section in results.sections.values()
    ]
    return table(["script", "commit", "seed", "rounds", "UTC", "took"], rows)


def machines(results: Results) -> Sequence[str]:
    """Returns the machines and libraries that were measured on; one, if all is well."""
    return sorted(
        {
            f"{section.machine}; Python {section.python}, "
            + ", ".join(f"{name} {version}" for name, version in section.libraries.items())
            for section in results.sections.values()
        }
    )
