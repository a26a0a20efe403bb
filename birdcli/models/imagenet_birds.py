"""The 59 birds among ImageNet's classes, by scientific and English name.

WordNet, which gave ImageNet its classes, means a species by some words and a genus or family by
others; each label is the lowest rank that holds for the whole class, in today's taxonomy. Where
WordNet means one sex alone and two classes would share a name, the sign of the sex follows it.
Two classes hold other birds than WordNet means: the pictures of `bulbul` (in WordNet a nightingale)
show Pycnonotidae, and those of `goldfinch` American goldfinches too.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Final

BACKGROUND: Final = "background"
"""The label of everything that is none of the birds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagenetBird:
    """One of ImageNet's classes that is a bird.

    Attributes:
        imagenet_id: Its number among ImageNet's 1000 classes, from 0.
        label: Scientific name; unique.
        common_name: English name.
    """

    imagenet_id: int
    label: str
    common_name: str


def load_birds() -> tuple[ImagenetBird, ...]:
    """Returns the birds by class id of `imagenet-birds`, which is the order of ImageNet's ids."""
    table = resources.files("birdcli").joinpath("imagenet_birds.csv")
    with table.open(encoding="utf-8") as lines:
        return tuple(
            ImagenetBird(
                imagenet_id=int(row["imagenet_id"]),
                label=row["label"],
                common_name=row["common_name"],
            )
            for row in csv.DictReader(lines)
        )


def bird_labels() -> tuple[str, ...]:
    """Returns the 60 labels by class id; the last is `background`."""
    return (*(bird.label for bird in load_birds()), BACKGROUND)


def label_map_csv() -> str:
    """Returns the labels as a label map: a csv with the header `id,name`, ids 0 to 59."""
    rows = (f"{class_id},{label}\n" for class_id, label in enumerate(bird_labels()))
    return "id,name\n" + "".join(rows)


def names_text() -> str:
    """Returns lines of `Scientific name (English name)`; line i (from 0) names class i."""
    rows = (f"{bird.label} ({bird.common_name})\n" for bird in load_birds())
    return "".join(rows) + f"{BACKGROUND}\n"
