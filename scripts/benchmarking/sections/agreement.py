"""Whether every engine and precision names the birds that the untouched model names."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

from scripts.benchmarking.bench import find_precisions, tell
from scripts.benchmarking.results import Taken
from scripts.make_photos import find_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.benchmarking.bench import Bench, Variant
    from scripts.benchmarking.results import Fact

QUANTUM_NAT: Final = 0.08245
"""One step of the untouched model's 8-bit logits."""
CLEAR_QUANTA: Final = 5
_REFERENCE: Final = "tensorflow/reference"
_LOWEST: Final = 1e-6  # records round scores to 6 digits
_LONGEST_SIDE: Final = 1600
_SHARE: Final = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one variant says of one view.

    Attributes:
        label: The best guess.
        margin: How far it is ahead of the second, quanta of the untouched model.
    """

    label: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view of a labelled photo.

    Attributes:
        path: The file.
        label: The right answer if this is the photo itself and the model has its species.
    """

    path: Path
    label: str


def measure_agreement(bench: Bench) -> Taken:
    """Classifies real photos and views of them with each variant; nothing without real photos."""
    source = find_source()
    if source is None or not bench.is_saved_model:
        tell("no real photos, or no untouched model: set BIRDCLI_TEST_DATA")
        return Taken(samples={})
    views = make_views(source, bench.scratch / "views")
    if bench.quick:
        views = views[:20]
    inputs = bench.write_list("views", [view.path for view in views])
    answers = {variant.name: _ask(bench, variant, inputs) for variant in find_precisions(bench)}
    reference = answers[_REFERENCE]
    facts: dict[str, Fact] = {
        "views": len(views),
        "clear": sum(answer.margin > CLEAR_QUANTA for answer in reference),
        "labelled": sum(bool(view.label) for view in views),
        "variants": ",".join(answers),
    }
    for name, found in answers.items():
        facts |= {f"{name}/{key}": value for key, value in compare(views, reference, found).items()}
    return Taken(samples={}, facts=facts)


def compare(
    views: Sequence[View], reference: Sequence[Answer], found: Sequence[Answer]
) -> dict[str, Fact]:
    """Counts where a variant agrees with the untouched model, and where it is right."""
    triples = list(zip(views, reference, found, strict=True))
    clear = [triple for triple in triples if triple[1].margin > CLEAR_QUANTA]
    other = [
        f"{view.path.name}: {answer.label} instead of {expected.label} "
        f"({expected.margin:.1f} quanta)"
        for view, expected, answer in clear
        if expected.label != answer.label
    ]
    return {
        "same": sum(expected.label == answer.label for _, expected, answer in triples),
        "clear_same": len(clear) - len(other),
        "right": sum(
            bool(view.label) and view.label == answer.label for view, _, answer in triples
        ),
        "other": "; ".join(other),
    }


def _ask(bench: Bench, variant: Variant, inputs: Path) -> list[Answer]:
    lines = bench.classify(variant, inputs).stdout.splitlines()
    answers = []
    for line in lines:
        first, second = (best["score"] for best in json.loads(line)["predictions"][:2])
        margin = math.log(max(first, _LOWEST) / max(second, _LOWEST)) / QUANTUM_NAT
        answers.append(Answer(label=json.loads(line)["predictions"][0]["label"], margin=margin))
    return answers


def make_views(source: Path, folder: Path) -> list[View]:
    """Returns each real photo, mirrored, its centre, and a corner of it.

    Args:
        source: Photos with their `index.csv`.
        folder: Where the views are, or will be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (source / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["format"] in {"JPEG", "PNG", "BMP"} and not row["derived_from"]
        ]
    views = []
    for row in rows:
        label = row["aiy_label"] if row["aiy_label"] != "background" else ""
        views.append(View(path=source / row["file"], label=label))
        with Image.open(source / row["file"]) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
        width, height = upright.size
        inner = round(width * _SHARE), round(height * _SHARE)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        made = {
            "flip": ImageOps.mirror(upright),
            "centre": upright.crop((left, top, left + inner[0], top + inner[1])),
            "corner": upright.crop((0, 0, *inner)),
        }
        for name, view in made.items():
            path = folder / f"{row['file'].replace('/', '-')}.{name}.png"
            view.save(path, compress_level=1)
            views.append(View(path=path, label=""))
    return views
