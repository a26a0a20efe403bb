"""Proves that every engine and precision names the species that the untouched model names.

    BIRDCLI_HOME=… python -m scripts.prove_agreement PHOTOS [--every N] [--report docs/agreement.md]

PHOTOS is a folder of pictures, with an `index.csv` (columns `file`, `aiy_label`, `derived_from`) if
species are to be counted; copies that were derived from others are left out. Each picture is shown
whole, mirrored, and as five crops (centre and corners, three quarters of each side). The goal:
where the untouched model's lead is above five quanta (steps of its 8-bit logits), 99 % of the best
guesses agree, and no engine is right on two photos fewer. `--every` is what the tests use: a
twentieth of the pictures.
"""

from __future__ import annotations

import argparse
import csv
import io
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

from birdcli.cli.context import open_registry
from birdcli.decode import decode_image
from birdcli.errors import ItemError, UsageError
from birdcli.host import cpu_features, library_versions, usable_cpus
from birdcli.models.engines import engines_for, this_machine
from birdcli.models.load import ModelLoader, load_labels
from birdcli.models.precision import Precision
from birdcli.models.variants import BATCH_SIZE, plan_variants
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from birdcli.items import RgbBatch, RgbImage, ScoreBatch
    from birdcli.labels import LabelSet
    from birdcli.model_version import ModelVersion
    from birdcli.models.variants import Variant

ROOT = Path(__file__).resolve().parent.parent
MODEL: Final = "aiy-birds-v1@1"
QUANTUM_NAT: Final = 0.08245
CLEAR_QUANTA: Final = 5
GOAL: Final = 0.99
_CROP: Final = 0.75
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way to look at one picture.

    Attributes:
        name: File and view.
        species: What the picture shows, for whole labelled pictures.
    """

    name: str
    species: str | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """How one variant compares with the untouched model.

    Attributes:
        backend: Engine and precision.
        agreeing: Views with the same best guess.
        clear: Views on which the untouched model's lead is clear.
        clear_agreeing: Those of them with the same best guess.
        right_1: Labelled photos with the right best guess.
        right_3: Labelled photos with the right species among the best three.
        largest: Largest difference of a probability.
        lost: Clear views with another best guess, in words.
    """

    backend: str
    agreeing: int = 0
    clear: int = 0
    clear_agreeing: int = 0
    right_1: int = 0
    right_3: int = 0
    largest: float = 0.0
    lost: list[str] = field(default_factory=list)


def iter_views(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields a picture whole, as it is stored, then mirrored and cropped, without further loss."""
    yield "whole", photo
    with Image.open(io.BytesIO(photo), formats=_FORMATS) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    yield "mirrored", _png(ImageOps.mirror(picture))
    width, height = round(picture.width * _CROP), round(picture.height * _CROP)
    right, bottom = picture.width - width, picture.height - height
    for name, left, top in (
        ("centre", right // 2, bottom // 2),
        ("top left", 0, 0),
        ("top right", right, 0),
        ("bottom left", 0, bottom),
        ("bottom right", right, bottom),
    ):
        yield name, _png(picture.crop((left, top, left + width, top + height)))


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def load_views(
    photos: Path, settings: DecodeSettings, *, every: int
) -> tuple[list[View], RgbBatch]:
    """Returns the views of every picture that can be decoded, and their pixels."""
    index = photos / "index.csv"
    rows: list[dict[str, str]] = []
    if index.is_file():
        with index.open(newline="") as file:
            rows = list(csv.DictReader(file))
    species = {row["file"]: row["aiy_label"] for row in rows}
    copies = {row["file"] for row in rows if row["derived_from"]}
    views: list[View] = []
    pixels: list[RgbImage] = []
    paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in _SUFFIXES)
    paths = [path for path in paths if path.name not in copies]
    for path in paths[::every]:
        try:
            for name, data in iter_views(path.read_bytes()):
                pixels.append(decode_image(data, settings).pixels)
                label = species.get(path.name) if name == "whole" else None
                views.append(View(name=f"{path.name}, {name}", species=label or None))
        except (ItemError, OSError, SyntaxError):  # some pictures are damaged on purpose
            continue
    if not views:
        raise SystemExit(f"{photos} holds no picture that can be decoded")
    return views, np.stack(pixels)


_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"}


def _scores(
    folder: Path, version: ModelVersion, labels: LabelSet, variant: Variant, pixels: RgbBatch
) -> ScoreBatch:
    loader = ModelLoader(
        folder,
        version,
        labels,
        this_machine(),
        threads=usable_cpus(),
        warn=lambda text: print(text, file=sys.stderr),
    )
    classifier = loader.load([variant]).classifier
    return np.concatenate(
        [
            classifier.classify(np.ascontiguousarray(pixels[start : start + BATCH_SIZE]))
            for start in range(0, len(pixels), BATCH_SIZE)
        ]
    )


def tally(
    backend: str, views: Sequence[View], labels: LabelSet, wanted: ScoreBatch, found: ScoreBatch
) -> Tally:
    """Compares the scores of a variant, float32 [N, C], with those of the untouched model."""
    result = Tally(backend=backend, largest=float(np.abs(found - wanted).max()))
    for view, reference, scores in zip(views, wanted, found, strict=True):
        order = np.argsort(-scores, kind="stable")
        best, wanted_best = int(order[0]), int(np.argmax(reference))
        second, first = np.sort(reference)[-2:]
        margin = float(np.log(first / max(second, 1e-9)) / QUANTUM_NAT)
        result.agreeing += best == wanted_best
        if margin > CLEAR_QUANTA:
            result.clear += 1
            result.clear_agreeing += best == wanted_best
            if best != wanted_best:
                result.lost.append(
                    f"{view.name}: {labels.labels[best]} {scores[best]:.3f}, not "
                    f"{labels.labels[wanted_best]} {reference[wanted_best]:.3f} "
                    f"(lead {margin:.1f} quanta)"
                )
        if view.species not in (None, "background"):
            names = [labels.labels[i] for i in order[:3]]
            result.right_1 += names[0] == view.species
            result.right_3 += view.species in names
    return result


def all_variants(version: ModelVersion) -> list[Variant]:
    """Returns every engine and precision of this machine that a model can have."""
    machine = this_machine()
    found: list[Variant] = []
    for engine in engines_for(version.format):
        for precision in (Precision.FLOAT32, Precision.BFLOAT16):
            if machine.has(engine) and (machine.bfloat16 or precision is Precision.FLOAT32):
                try:
                    found += plan_variants(version, machine, engine=engine, precision=precision)
                except UsageError:  # a file in whole numbers has one precision
                    continue
    return found


def problems(reference: Tally, tallies: Sequence[Tally]) -> list[str]:
    """Returns which variants miss the goal, in words."""
    found = []
    for it in tallies:
        if it.clear_agreeing < GOAL * it.clear:
            found.append(f"{it.backend}: {it.clear_agreeing} of {it.clear} clear views agree")
        if it.right_1 < reference.right_1 - 1:
            found.append(f"{it.backend}: {it.right_1} right, the model itself {reference.right_1}")
    return found


def report(model: str, reference: Tally, tallies: Sequence[Tally], views: int) -> str:
    """Returns the result as Markdown."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    versions = library_versions("tensorflow", "openvino", "pillow", "numpy").items()
    lines = [
        "# Agreement with the untouched model",
        "",
        f"Made by `python -m scripts.prove_agreement`, commit `{commit}`, {model}, "
        f"{cpu_features()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in versions)
        + ". Nothing in it is random.",
        "",
        f"{views} views: real photos whole, mirrored, and cropped to three quarters at the centre "
        f"and the corners. A view is clear where the best guess of the untouched model leads by "
        f"more than {CLEAR_QUANTA} quanta ({CLEAR_QUANTA * QUANTUM_NAT:.2f} nat). The goal: "
        f"{GOAL:.0%} of the clear views have the same best guess, and no variant is right on two "
        "photos fewer.",
        "",
        "| engine/precision | same best guess | of the clear views | right at top 1 | within top 3 "
        "| largest difference of a probability |",
        "|---|---|---|---|---|---|",
        f"| {reference.backend} | | | {reference.right_1} | {reference.right_3} | |",
    ]
    for it in tallies:
        lines.append(
            f"| {it.backend} | {it.agreeing} of {views} ({it.agreeing / views:.1%}) "
            f"| {it.clear_agreeing} of {it.clear} ({it.clear_agreeing / max(it.clear, 1):.2%}) "
            f"| {it.right_1} | {it.right_3} | {it.largest:.3f} |"
        )
    for it in tallies:
        if it.lost:
            lines += ["", f"Clear views with another best guess on {it.backend}:", ""]
            lines += [f"- {text}" for text in it.lost]
    found = problems(reference, tallies)
    lines += ["", *(f"- **Missed: {text}**" for text in found)] if found else ["", "All met."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Compares; the exit code is 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--every", type=int, default=1, help="every Nth picture only")
    parser.add_argument("--report", type=Path, help="where to write the result")
    options = parser.parse_args()
    registry = open_registry()
    version = registry.resolve(options.model)
    registry.verify_files(version)
    folder = registry.version_folder(version)
    labels = load_labels(folder, version)
    settings = DecodeSettings(
        height=version.input.height,
        width=version.input.width,
        preprocessing=version.input.preprocessing,
    )
    views, pixels = load_views(options.photos, settings, every=options.every)
    (untouched,) = plan_variants(version, this_machine(), precision=Precision.REFERENCE)
    wanted = _scores(folder, version, labels, untouched, pixels)
    reference = tally(untouched.backend, views, labels, wanted, wanted)
    tallies = []
    for variant in all_variants(version):
        found = _scores(folder, version, labels, variant, pixels)
        tallies.append(tally(variant.backend, views, labels, wanted, found))
    text = report(version.id, reference, tallies, len(views))
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    print(text)
    return 1 if problems(reference, tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
