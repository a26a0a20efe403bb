"""What is remembered of tunings, as rows for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.tuning import tuning_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine
    from birdcli.tuning import Tuning

TUNING_COLUMNS = (
    "Model",
    "Backend",
    "Batch",
    "At once",
    "Images/s",
    "Without",
    "CPUs",
    "Used here",
)


def tuning_rows(
    tunings: Sequence[Tuning], versions: Iterable[ModelVersion], machine: Machine, *, cpus: int
) -> list[dict[str, object]]:
    """Returns one row per tuning.

    Args:
        tunings: What is remembered.
        versions: All versions of the registry.
        machine: What there is to compute with.
        cpus: CPUs that this process may use.
    """
    keys = [tuning_key(version, machine, cpus=cpus) for version in versions if version.installed]
    return [
        {
            "model": tuning.name,
            "engine": tuning.setting.engine.value,
            "precision": tuning.setting.precision,
            "batch_size": tuning.setting.batch_size,
            "streams": tuning.setting.streams,
            "images_per_s": tuning.images_per_s,
            "default_images_per_s": tuning.default_images_per_s,
            "cpus": tuning.key.cpus,
            "host": tuning.key.host,
            "versions": tuning.key.versions,
            "at": tuning.at,
            "used_here": tuning.key in keys,
        }
        for tuning in tunings
    ]


def tuning_cells(rows: Iterable[dict[str, object]]) -> list[list[str]]:
    """Returns the rows as the cells of a table of `TUNING_COLUMNS`."""
    return [
        [
            str(row["model"]),
            f"{row['engine']}/{row['precision']}",
            str(row["batch_size"]),
            str(row["streams"]),
            f"{row['images_per_s']:,.0f}",
            f"{row['default_images_per_s']:,.0f}",
            str(row["cpus"]),
            "yes" if row["used_here"] else "no",
        ]
        for row in rows
    ]
