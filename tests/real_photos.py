"""The labelled photographs among the real data."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def labelled_originals(test_data: Path) -> list[tuple[Path, str]]:
    """The 50 photos whose label the AIY models have, each with that label; no derived ones."""
    images = test_data / "images"
    with (images / "index.csv").open(newline="") as file:
        found = [
            (images / row["file"], row["aiy_label"])
            for row in csv.DictReader(file)
            if row["format"] in {"JPEG", "PNG", "BMP"}
            and row["aiy_label"] not in {"", "background"}
            and not row["derived_from"]
        ]
    assert len(found) == 50
    return found
