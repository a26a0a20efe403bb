"""An installed version as a classifier that has proven itself on this host."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from birdcli.decode import decode_image
from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_bytes, verify_digest
from birdcli.host import cpu_features, library_versions
from birdcli.labels import LabelSet, check_class_count, parse_common_names, parse_label_map
from birdcli.model_version import Evidence, ModelFormat, OutputKind
from birdcli.models.engines import choose_engine
from birdcli.models.golden import decode_golden, load_shipped_golden, verify_golden
from birdcli.models.libraries import answering_libraries
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from birdcli.backends.tensorflow import GraphSpec
    from birdcli.items import RgbImage
    from birdcli.model_version import FileEntry, ModelVersion
    from birdcli.models.engines import Engine
    from birdcli.models.golden import GoldenReport
    from birdcli.models.precision import Precision
    from birdcli.ports import Classifier

MODULE_FOLDER: Final = "module"
TFLITE_FILE: Final = f"{MODULE_FOLDER}/model.tflite"
FROZEN_GRAPH_FILE: Final = f"{MODULE_FOLDER}/graph.pb"
GOLDEN_FILE: Final = "golden.npz"
_SHIPPED_FACTORS: Final = {
    "aiy-birds-v1@1": 2.0,  # made from a rebuilt copy of the weights
    "aiy-birds-lite@3": 6.0,  # a host may have other kernels than the one that made them
}
_OTHER_KERNELS: Final = 6.0
"""TFLite's own kernels round otherwise than the delegate's, layer by layer: up to 9/256 on the
probes of `aiy-birds-lite`, two steps of its 8-bit logits."""


def prepared_path() -> str:
    """Returns where the graph that this TensorFlow prepared is, below a version's folder."""
    return f"prepared/tensorflow-{library_versions('tensorflow').get('tensorflow')}-float32.pb"


def graph_spec(version: ModelVersion) -> GraphSpec:
    """Returns what TensorFlow must know of a version."""
    from birdcli.backends.tensorflow import GraphSpec

    return GraphSpec(
        model=version.id,
        input=version.input,
        signature=version.signature,
        output=version.output or OutputKind.PROBABILITIES,
    )


def model_decoder(version: ModelVersion) -> Callable[[bytes], RgbImage]:
    """Returns the function from encoded bytes to pixels as this version wants them."""
    settings = DecodeSettings(
        height=version.input.height,
        width=version.input.width,
        preprocessing=version.input.preprocessing,
    )
    return lambda data: decode_image(data, settings).pixels


def load_labels(folder: Path, version: ModelVersion) -> LabelSet:
    """Reads the label map and the English names of an installed, verified version.

    Args:
        folder: The version's folder.
        version: The version.

    Raises:
        ModelError: ``model.labels_invalid``, ``model.load_failed``.
    """
    try:
        labels = parse_label_map((folder / version.labels.path).read_bytes())
        names: tuple[str | None, ...] = (None,) * len(labels)
        if version.names is not None and version.names.sha256 is not None:
            names = parse_common_names((folder / version.names.path).read_bytes(), labels)
    except OSError as err:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED, f"the labels of {version.id} cannot be read: {err}"
        ) from err
    background_id = version.labels.background_id
    if background_id is not None and not 0 <= background_id < len(labels):
        raise ModelError(
            ErrorCode.MODEL_LABELS_INVALID,
            f"the background is said to be class {background_id}, the last one is "
            f"{len(labels) - 1}",
        )
    return LabelSet(labels=labels, common_names=names, background_id=version.labels.background_id)


def _read_verified(folder: Path, entry: FileEntry) -> bytes:
    """Returns the bytes of a file, the very ones that were hashed."""
    try:
        data = (folder / entry.path).read_bytes()
    except OSError as err:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{folder / entry.path} was taken away just now: {err.strerror or err}",
            hint="Another process removed or replaced the version; try again.",
        ) from err
    if sha256_of_bytes(data) != entry.sha256:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH, f"{folder / entry.path} was changed just now"
        )
    return data


def _load_tensorflow(
    folder: Path, version: ModelVersion, engine: Engine, class_count: int, threads: int
) -> Classifier:
    from birdcli.backends import tensorflow as backend
    from birdcli.backends.tensorflow_runtime import configure_threads

    configure_threads(threads)
    spec = graph_spec(version)
    if engine.reference or not version.prepared:
        for entry in version.files or ():  # TensorFlow reads them by itself, right after this
            verify_digest(folder / entry.path, entry.sha256)
    if engine.reference:
        return backend.load_reference(folder / MODULE_FOLDER, spec)
    path = prepared_path()
    prepared = next((entry for entry in version.prepared if entry.path == path), None)
    if prepared is not None:
        data = _read_verified(folder, prepared)
    else:  # installed by another TensorFlow: a prepared graph belongs to the version that made it
        data = backend.freeze(folder / MODULE_FOLDER, spec)
    return backend.load_frozen(data, spec, class_count)


def _load_litert(folder: Path, version: ModelVersion, engine: Engine, threads: int) -> Classifier:
    from birdcli.backends.litert import load_tflite

    entry = next((entry for entry in version.files or () if entry.path == TFLITE_FILE), None)
    if entry is None:
        raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{version.id} has no {TFLITE_FILE}")
    return load_tflite(
        _read_verified(folder, entry),
        model=version.id,
        spec=version.input,
        output=version.output or OutputKind.PROBABILITIES,
        threads=threads,
        reference=engine.reference,
    )


def load_classifier(
    folder: Path, version: ModelVersion, labels: LabelSet, *, precision: Precision, threads: int
) -> tuple[Classifier, GoldenReport]:
    """Loads a version and holds it against its golden outputs, which also warms it up.

    Args:
        folder: The version's folder, every byte of it verified.
        version: The version.
        labels: Its class names.
        precision: How exactly to compute.
        threads: CPUs for one batch.

    Raises:
        ModelError: ``model.golden_mismatch``, ``model.load_failed``, ``model.labels_invalid``,
            ``model.unsafe_op``, ``model.runtime_missing``.
        UsageError: ``usage.bad_flag`` for a precision that the version cannot have.
    """
    if version.golden is None:
        raise ModelError(ErrorCode.MODEL_NOT_INSTALLED, f"{version.id} is not installed")
    engine = choose_engine(version, precision)
    factor = 1.0
    if version.format is ModelFormat.TFLITE:
        classifier = _load_litert(folder, version, engine, threads)
        factor = _OTHER_KERNELS if engine.reference else factor
    else:
        classifier = _load_tensorflow(folder, version, engine, len(labels), threads)
    check_class_count(labels.labels, classifier.class_count)
    return classifier, verify_own_golden(classifier, version, folder, labels, factor=factor)


def verify_own_golden(
    classifier: Classifier,
    version: ModelVersion,
    folder: Path,
    labels: LabelSet,
    *,
    factor: float = 1.0,
) -> GoldenReport:
    """Holds a classifier against the golden outputs of its version.

    Args:
        classifier: The model on an engine.
        version: The version.
        folder: Where its files are.
        labels: Its class names.
        factor: Multiplies the tolerances.

    Raises:
        ModelError: ``model.golden_mismatch``, ``model.load_failed``, ``model.sha256_mismatch``,
            ``model.not_installed``.
    """
    if version.golden is None:
        raise ModelError(ErrorCode.MODEL_NOT_INSTALLED, f"{version.id} is not installed")
    return verify_golden(
        decode_golden(_read_verified(folder, version.golden)),
        classifier,
        labels,
        model_decoder(version),
        height=version.input.height,
        width=version.input.width,
        output=version.output or OutputKind.PROBABILITIES,
        factor=factor,
    )


def make_evidence(version: ModelVersion, classifier: Classifier, report: GoldenReport) -> Evidence:
    """Returns the proof that this kind of host reproduced the golden outputs."""
    return Evidence(
        host=cpu_features(),
        backend=classifier.backend,
        libraries=answering_libraries(version.format),
        deviation=round(report.deviation, 6),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def verify_against_shipped(classifier: Classifier, version: ModelVersion, labels: LabelSet) -> None:
    """Holds a built-in model against the values that ship with the package.

    Golden outputs made on this host cannot tell that this host is always wrong.

    Raises:
        ModelError: ``model.golden_mismatch``.
    """
    shipped = load_shipped_golden(version.id)
    if shipped is not None:
        verify_golden(
            shipped,
            classifier,
            labels,
            model_decoder(version),
            height=version.input.height,
            width=version.input.width,
            output=version.output or OutputKind.PROBABILITIES,
            factor=_SHIPPED_FACTORS.get(version.id, 1.0),
        )
