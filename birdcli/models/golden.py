"""Golden outputs: proof that this host decodes, classifies and names as it should.

Three parts, each failing on its own. *Pixels*: generated encoded files through our own decoder.
*Scores*: generated tensors through the model, held against the untouched model. *Names*: the
label strings of the best classes.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from birdcli.backends.signature import MOST_CLASSES
from birdcli.errors import ErrorCode, InferenceError, ItemError, ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.model_version import OutputKind
from birdcli.models.npz import read_arrays
from birdcli.models.outputs import STEP
from birdcli.models.pixel_files import make_pixel_files
from birdcli.models.probes import PROBE_NAMES, make_probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from birdcli.errors import Detail
    from birdcli.items import RgbBatch, RgbImage, ScoreBatch
    from birdcli.labels import LabelSet
    from birdcli.ports import Classifier

PROBE_RMS_NAT: Final = 0.21
MEAN_RMS_NAT: Final = 0.14
CLEAR_MARGIN_NAT: Final = 0.41
JPEG_MEAN_LEVELS: Final = 1.0
PROBABILITY_STEPS: Final = 2
CLEAR_MARGIN_STEPS: Final = 4
_TOP: Final = 5
_LARGEST_ARRAY: Final = 16_000_000
"""Bytes: float32 scores of the most classes take 3,200,000, forty names fit."""
_SHA256: Final = re.compile("[0-9a-f]{64}")
_LOWEST_PROBABILITY: Final = 1e-9
"""Below this, float32 softmax outputs differ between engines for no reason that matters."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenOutputs:
    """What a right host gives.

    Attributes:
        scores: float32 [8, C], of the untouched model, one probe at a time.
        names: The five best labels of each probe.
        png_sha256: Digest of the pixels that the decoder makes of the generated PNG.
    """

    scores: ScoreBatch
    names: tuple[tuple[str, ...], ...]
    png_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GoldenInputs:
    """What a host is shown: generated, the same everywhere.

    Attributes:
        probes: uint8 [8, H, W, 3].
        files: Encoded pictures by name.
    """

    probes: RgbBatch
    files: dict[str, bytes]


def make_golden_inputs(height: int, width: int) -> GoldenInputs:
    """Returns the generated inputs for a model's input size, in pixels; takes 0.2 s."""
    return GoldenInputs(probes=make_probes(height, width), files=make_pixel_files())


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenReport:
    """How close this host came.

    Attributes:
        deviation: Largest deviation of a probe: RMS of its log-probabilities in nat, or for 8-bit
            scores the largest difference of a probability.
        mean_deviation: Mean deviation over the probes.
    """

    deviation: float
    mean_deviation: float


def _mismatch(part: str, message: str, **details: Detail) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_GOLDEN_MISMATCH,
        f"this host does not reproduce the golden {part}: {message}",
        hint="",
        part=part,
        **details,
    )


def _decode_pixel_files(
    files: dict[str, bytes], decode: Callable[[bytes], RgbImage]
) -> dict[str, RgbImage]:
    decoded = {}
    for name, data in files.items():
        try:
            decoded[name] = decode(data)
        except ItemError as err:
            raise _mismatch("pixels", f"{name}: {err.message}", file=name) from err
    return decoded


def _verify_pixels(
    files: dict[str, bytes], decode: Callable[[bytes], RgbImage], png_sha256: str
) -> None:
    decoded = _decode_pixel_files(files, decode)
    png = decoded["png"]
    found = sha256_of_bytes(png.tobytes())
    if found != png_sha256:
        raise _mismatch("pixels", "the PNG decodes to other pixels", file="png", found=found)
    grey = np.repeat(png[..., 1:2], 3, axis=-1)
    for name, expected in (("jpeg", png), ("jpeg with EXIF 6", png), ("16-bit png", grey)):
        error = float(np.abs(decoded[name].astype(np.int16) - expected).mean())
        if error > JPEG_MEAN_LEVELS:
            raise _mismatch(
                "pixels",
                f"{name} is {error:.2f} levels off, {JPEG_MEAN_LEVELS:g} allowed",
                file=name,
                levels=error,
            )


def _log_probabilities(scores: ScoreBatch) -> NDArray[np.float64]:
    return np.log(np.maximum(scores.astype(np.float64), _LOWEST_PROBABILITY))


def _check_scores(
    expected: ScoreBatch, found: ScoreBatch, labels: LabelSet, output: OutputKind, factor: float
) -> GoldenReport:
    if found.shape[1:] != expected.shape[1:]:
        raise _mismatch("scores", f"{found.shape[-1]} classes instead of {expected.shape[-1]}")
    if not np.isfinite(found).all():
        raise _mismatch("scores", "the model gave a score that is not a number")
    if not np.isfinite(expected).all():
        raise _mismatch("scores", "a golden score is not a number")
    if output is OutputKind.PROBABILITIES_8BIT:
        return _check_steps(expected, found, labels, factor)
    return _check_logs(expected, found, labels, factor)


def _check_steps(
    expected: ScoreBatch, found: ScoreBatch, labels: LabelSet, factor: float
) -> GoldenReport:
    """The rule for scores in steps of 1/256, most of which are 0 and have no logarithm."""
    top = _best_ids(expected)
    difference = np.take_along_axis(found, top, 1) - np.take_along_axis(expected, top, 1)
    largest = np.abs(difference).max(axis=1)
    worst = int(largest.argmax())
    # Half a step for float32. Written so that NaN, which is never above a bound, is beyond it.
    if not largest[worst] <= (PROBABILITY_STEPS * factor + 0.5) * STEP:
        rank = int(np.abs(difference[worst]).argmax())
        class_id = int(top[worst, rank])
        raise _mismatch(
            "scores",
            f"probe {PROBE_NAMES[worst]!r} is {largest[worst] / STEP:.0f}/256 off, "
            f"{PROBABILITY_STEPS * factor:g}/256 allowed; most in {labels.labels[class_id]!r} "
            f"(class {class_id}, {difference[worst, rank] / STEP:+.0f}/256)",
            probe=PROBE_NAMES[worst],
            class_id=class_id,
            probability=float(largest[worst]),
        )
    best_two = np.sort(expected, axis=1)[:, -2:]
    clear = best_two[:, 1] - best_two[:, 0] > CLEAR_MARGIN_STEPS * factor * STEP
    _check_best(expected, found, labels, clear)
    return GoldenReport(deviation=float(largest.max()), mean_deviation=float(largest.mean()))


def _check_logs(
    expected: ScoreBatch, found: ScoreBatch, labels: LabelSet, factor: float
) -> GoldenReport:
    logs = _log_probabilities(expected)
    difference = _log_probabilities(found) - logs
    difference -= difference.mean(axis=1, keepdims=True)
    rms = np.sqrt((difference**2).mean(axis=1))
    worst = int(rms.argmax())
    # Written so that NaN, which is never above a bound, is beyond it.
    if not rms[worst] <= PROBE_RMS_NAT * factor:
        class_id = int(np.abs(difference[worst]).argmax())
        raise _mismatch(
            "scores",
            f"probe {PROBE_NAMES[worst]!r} is {rms[worst]:.3f} nat off, "
            f"{PROBE_RMS_NAT * factor:g} allowed; most in {labels.labels[class_id]!r} "
            f"(class {class_id}, {difference[worst, class_id]:+.2f} nat)",
            probe=PROBE_NAMES[worst],
            class_id=class_id,
            rms_nat=float(rms[worst]),
        )
    if not rms.mean() <= MEAN_RMS_NAT * factor:
        raise _mismatch(
            "scores",
            f"the probes are {rms.mean():.3f} nat off on average, "
            f"{MEAN_RMS_NAT * factor:g} allowed",
            rms_nat=float(rms.mean()),
        )
    best_two = np.sort(logs, axis=1)[:, -2:]
    clear = best_two[:, 1] - best_two[:, 0] > CLEAR_MARGIN_NAT * factor
    _check_best(expected, found, labels, clear)
    return GoldenReport(deviation=float(rms.max()), mean_deviation=float(rms.mean()))


def _check_best(
    expected: ScoreBatch, found: ScoreBatch, labels: LabelSet, clear: NDArray[np.bool_]
) -> None:
    """Raises unless the best class is the same wherever its lead is clear."""
    for probe in np.flatnonzero(clear):
        wanted, got = int(expected[probe].argmax()), int(found[probe].argmax())
        if wanted != got:
            raise _mismatch(
                "scores",
                f"probe {PROBE_NAMES[probe]!r} is {labels.labels[got]!r}, "
                f"not {labels.labels[wanted]!r}",
                probe=PROBE_NAMES[probe],
                class_id=got,
            )


def _best_ids(scores: ScoreBatch) -> NDArray[np.intp]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :_TOP]


def _verify_names(expected: GoldenOutputs, labels: LabelSet) -> None:
    class_count = expected.scores.shape[1]
    if len(labels) != class_count:
        raise _mismatch("names", f"there are {len(labels)} labels for {class_count} classes")
    for probe, (ids, names) in enumerate(
        zip(_best_ids(expected.scores), expected.names, strict=True)
    ):
        for class_id, name in zip(ids, names, strict=True):
            if labels.labels[class_id] != name:
                raise _mismatch(
                    "names",
                    f"class {class_id} is {labels.labels[class_id]!r}, not {name!r}",
                    probe=PROBE_NAMES[probe],
                    class_id=int(class_id),
                )


def run_probes(classifier: Classifier, height: int, width: int, *, batch: int) -> ScoreBatch:
    """Returns the scores of the eight probes, float32 [8, C], `batch` probes at a time."""
    return _run(classifier, make_probes(height, width), batch=batch)


def _run(classifier: Classifier, probes: RgbBatch, *, batch: int) -> ScoreBatch:
    try:
        scores = np.concatenate(
            [classifier.classify(probes[i : i + batch]) for i in range(0, len(probes), batch)]
        )
    except InferenceError as err:
        raise _mismatch("scores", err.message) from err
    if len(scores) != len(probes):
        raise _mismatch("scores", f"{len(scores)} rows for {len(probes)} pictures")
    return scores


def make_golden(
    untouched: Classifier,
    labels: LabelSet,
    decode: Callable[[bytes], RgbImage],
    *,
    height: int,
    width: int,
) -> GoldenOutputs:
    """Makes the golden outputs with the untouched model, one probe at a time.

    Args:
        untouched: The model as it came.
        labels: Its C class names.
        decode: Encoded bytes to uint8 [H, W, 3] at the input size.
        height: Pixels of the input.
        width: Pixels of the input.

    Raises:
        ModelError: ``model.golden_mismatch`` if a score is not a number.
    """
    inputs = make_golden_inputs(height, width)
    scores = _run(untouched, inputs.probes, batch=1)
    if not np.isfinite(scores).all():
        raise _mismatch("scores", "the model gave a score that is not a number")
    names = tuple(tuple(labels.labels[i] for i in ids) for ids in _best_ids(scores))
    png = _decode_pixel_files(inputs.files, decode)["png"]
    return GoldenOutputs(scores=scores, names=names, png_sha256=sha256_of_bytes(png.tobytes()))


def verify_golden(
    expected: GoldenOutputs,
    classifier: Classifier,
    labels: LabelSet,
    decode: Callable[[bytes], RgbImage],
    *,
    inputs: GoldenInputs,
    output: OutputKind = OutputKind.PROBABILITIES,
    factor: float = 1.0,
) -> GoldenReport:
    """Holds this host against golden outputs; it warms the engine up at the same time.

    Args:
        expected: What a right host gives.
        classifier: The model on the engine that is going to be used.
        labels: Its C class names.
        decode: Encoded bytes to uint8 [H, W, 3] at the input size.
        inputs: What `make_golden_inputs` returns for the model's input size.
        output: Kind of the model's own numbers, which decides the rule.
        factor: Multiplies the tolerances.

    Raises:
        ModelError: ``model.golden_mismatch`` naming the part, the probe, the class and how far off.
    """
    _verify_names(expected, labels)
    _verify_pixels(inputs.files, decode, expected.png_sha256)
    found = _run(classifier, inputs.probes, batch=len(PROBE_NAMES))
    return _check_scores(expected.scores, found, labels, output, factor)


def encode_golden(golden: GoldenOutputs) -> bytes:
    """Returns golden outputs as the bytes of an npz file, without pickle."""
    out = io.BytesIO()
    np.savez(
        out,
        scores=golden.scores,
        names=np.array(golden.names),
        png_sha256=np.array(golden.png_sha256),
    )
    return out.getvalue()


def decode_golden(data: bytes) -> GoldenOutputs:
    """Reads what `encode_golden` wrote, and nothing else.

    Raises:
        ModelError: ``model.load_failed``.
    """
    try:
        scores, names, digest = read_arrays(
            data, ("scores", "names", "png_sha256"), max_bytes=_LARGEST_ARRAY
        )
        _check_arrays(scores, names, digest)
        return GoldenOutputs(
            scores=scores,
            names=tuple(tuple(str(name) for name in row) for row in names),
            png_sha256=str(digest),
        )
    except ValueError as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"the golden outputs cannot be read: {err}"
        ) from err


def _check_arrays(scores: NDArray[Any], names: NDArray[Any], digest: NDArray[Any]) -> None:
    probes = len(PROBE_NAMES)
    if scores.dtype != np.float32 or scores.ndim != 2 or scores.shape[0] != probes:
        raise ValueError(f"scores are {scores.dtype} {list(scores.shape)}")
    class_count = scores.shape[1]
    if not 1 <= class_count <= MOST_CLASSES:
        raise ValueError(f"there are {class_count} classes, 1 to {MOST_CLASSES:,} are expected")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not a number")
    if names.dtype.kind != "U" or names.shape != (probes, min(_TOP, class_count)):
        raise ValueError(f"names are {names.dtype} {list(names.shape)}")
    if digest.dtype.kind != "U" or digest.ndim or not _SHA256.fullmatch(str(digest)):
        raise ValueError("the digest of the pixels is no sha256")


def load_shipped_golden(model_id: str) -> GoldenOutputs | None:
    """Returns the golden outputs that ship with the package, or None for models of the user."""
    file = resources.files("birdcli") / "golden" / f"{model_id}.npz"
    return decode_golden(file.read_bytes()) if file.is_file() else None
