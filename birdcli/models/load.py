"""An installed version as a classifier that has proven itself on this host."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from birdcli.decode import decode_image
from birdcli.errors import ErrorCode, ModelError
from birdcli.labels import LabelSet, check_class_count, parse_common_names, parse_label_map
from birdcli.model_version import Evidence, OutputKind
from birdcli.models.engines import EngineName
from birdcli.models.files import MODULE_FOLDER, TFLITE_FILE, read_verified
from birdcli.models.golden import (
    decode_golden,
    load_shipped_golden,
    make_golden_inputs,
    verify_golden,
)
from birdcli.models.prepared import Preparation, graph_spec, unfit
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from birdcli.items import RgbImage
    from birdcli.metrics import ColdStart
    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine
    from birdcli.models.golden import GoldenInputs, GoldenReport
    from birdcli.models.variants import Variant
    from birdcli.ports import Classifier

_SHIPPED_FACTORS: Final = {
    "aiy-birds-v1@1": 2.0,  # made from a rebuilt copy of the weights
    "aiy-birds-lite@3": 6.0,  # a host may have other kernels than the one that made them
}
_OTHER_KERNELS: Final = 6.0
"""TFLite's own kernels round otherwise than the delegate's, layer by layer: up to 9/256 on the
probes of `aiy-birds-lite`, two steps of its 8-bit logits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A classifier that has reproduced its golden outputs.

    Attributes:
        classifier: The model on an engine.
        variant: Which engine and precision that is.
        report: How close it came.
        rejected: What was tried before it, and why it is not used.
        made: Prepared graphs that had to be made: path below the version's folder, and content.
        start: Where the time went.
    """

    classifier: Classifier
    variant: Variant
    report: GoldenReport
    rejected: tuple[tuple[Variant, ModelError], ...]
    made: Mapping[str, bytes]
    start: ColdStart


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


class ModelLoader:
    """Loads one installed or staged version by one way of computing after the other."""

    def __init__(
        self,
        folder: Path,
        version: ModelVersion,
        labels: LabelSet,
        machine: Machine,
        *,
        threads: int,
        warn: Callable[[str], None],
        streams: int | None = None,
    ) -> None:
        """Prepares; nothing is loaded yet.

        Args:
            folder: The version's folder, every byte of it verified.
            version: The version.
            labels: Its class names.
            machine: Which libraries there are.
            threads: CPUs to use.
            warn: Tells people what is slower than it could be.
            streams: Batches at once; None for the engine's usual number.
        """
        self._folder = folder
        self._version = version
        self._labels = labels
        self._machine = machine
        self._threads = threads
        self._streams = streams
        self._warn = warn
        self.preparation = Preparation(
            folder, version, machine, reproduces=self._graph_reproduces, warn=warn
        )

    def load(self, plan: Sequence[Variant]) -> LoadedModel:
        """Returns the first variant that reproduces the golden outputs, which also warms it up.

        Args:
            plan: What to try, in order.

        Raises:
            ModelError: ``model.golden_mismatch``, ``model.load_failed``, ``model.labels_invalid``,
                ``model.unsafe_op``, ``model.runtime_missing``, of the last that was tried.
        """
        if self._version.golden is None:
            raise ModelError(ErrorCode.MODEL_NOT_INSTALLED, f"{self._version.id} is not installed")
        # Beside the engine's import, which keeps one core busy.
        helper = ThreadPoolExecutor(1, thread_name_prefix="birdcli-golden")
        size = self._version.input
        self._inputs = helper.submit(make_golden_inputs, size.height, size.width)
        helper.shutdown(wait=False)
        rejected: list[tuple[Variant, ModelError]] = []
        missing: set[EngineName] = set()
        for position, variant in enumerate(plan):
            if variant.engine in missing:
                continue
            try:
                classifier, report, start = self._try(variant)
            except ModelError as err:
                if position + 1 == len(plan) or not unfit(err):
                    raise
                rejected.append((variant, err))
                what: str = variant.backend
                if err.code is ErrorCode.MODEL_RUNTIME_MISSING:
                    missing.add(variant.engine)
                    what = variant.engine
                    if all(later.engine in missing for later in plan[position:]):
                        raise
                self._warn(f"{what} is not used: {err.message}")
                continue
            return LoadedModel(
                classifier=classifier,
                variant=variant,
                report=report,
                rejected=tuple(rejected),
                made=self.preparation.made,
                start=start,
            )
        raise ModelError(ErrorCode.MODEL_RUNTIME_MISSING, "there is no engine to try")

    def _try(self, variant: Variant) -> tuple[Classifier, GoldenReport, ColdStart]:
        from birdcli.metrics import ColdStart

        began_s = time.perf_counter()
        _import_engine(variant.engine)
        imported_s = time.perf_counter()
        classifier = self._load(variant)
        check_class_count(self._labels.labels, classifier.class_count)
        loaded_s = time.perf_counter()
        other_kernels = variant.engine is EngineName.LITERT and variant.reference
        report = verify_own_golden(
            classifier,
            self._version,
            self._folder,
            self._labels,
            inputs=self._inputs.result(),
            factor=_OTHER_KERNELS if other_kernels else 1.0,
        )
        start = ColdStart(
            imports_s=imported_s - began_s,
            model_s=loaded_s - imported_s,
            first_batch_s=time.perf_counter() - loaded_s,
        )
        return classifier, report, start

    def _load(self, variant: Variant) -> Classifier:
        match variant.engine:
            case EngineName.LITERT:
                return self._load_tflite(variant)
            case EngineName.OPENVINO:
                return self._load_ir(variant)
            case EngineName.TENSORFLOW:
                return self._load_graph(variant)

    def _load_graph(self, variant: Variant) -> Classifier:
        from birdcli.backends.tensorflow import load_frozen, load_reference
        from birdcli.backends.tensorflow_runtime import configure_threads

        streams = configure_threads(self._threads, self._streams)
        if variant.reference:
            self.preparation.verify_module()
            module = self._folder / MODULE_FOLDER
            return load_reference(module, graph_spec(self._version), streams=streams)
        halved = variant.precision == "bfloat16"
        return load_frozen(
            self.preparation.bfloat16_graph() if halved else self.preparation.graph(),
            model=self._version.id,
            class_count=len(self._labels),
            backend=variant.backend,
            threads=self._threads,
            streams=streams,
        )

    def _load_ir(self, variant: Variant) -> Classifier:
        from birdcli.backends.openvino import load_ir

        description, weights = self.preparation.ir()
        return load_ir(
            description,
            weights,
            model=self._version.id,
            precision=variant.precision,
            threads=self._threads,
            streams=self._streams,
        )

    def _load_tflite(self, variant: Variant) -> Classifier:
        from birdcli.backends.litert import load_tflite

        version = self._version
        entry = next((entry for entry in version.files or () if entry.path == TFLITE_FILE), None)
        if entry is None:
            raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{version.id} has no {TFLITE_FILE}")
        return load_tflite(
            read_verified(self._folder, entry),
            model=version.id,
            spec=version.input,
            output=version.output or OutputKind.PROBABILITIES,
            threads=self._threads,
            reference=variant.reference,
        )

    def _graph_reproduces(self, graph: bytes) -> bool:
        from birdcli.backends.tensorflow import load_frozen

        classifier = load_frozen(
            graph,
            model=self._version.id,
            class_count=len(self._labels),
            backend="tensorflow/float32",
        )
        try:
            verify_own_golden(classifier, self._version, self._folder, self._labels)
        except ModelError as err:
            if not unfit(err):
                raise
            return False
        return True


def _import_engine(engine: EngineName) -> None:
    """Imports an engine, so that its time is told apart from its model's."""
    match engine:
        case EngineName.LITERT:
            from birdcli.backends.litert import import_litert

            import_litert()
        case EngineName.OPENVINO:
            from birdcli.backends.openvino import openvino

            openvino()
        case EngineName.TENSORFLOW:
            from birdcli.backends.tensorflow_runtime import tensorflow

            tensorflow()


def verify_own_golden(
    classifier: Classifier,
    version: ModelVersion,
    folder: Path,
    labels: LabelSet,
    *,
    inputs: GoldenInputs | None = None,
    factor: float = 1.0,
) -> GoldenReport:
    """Holds a classifier against the golden outputs of its version.

    Args:
        classifier: The model on an engine.
        version: The version.
        folder: Where its files are.
        labels: Its class names.
        inputs: Of `make_golden_inputs`, if somebody has them.
        factor: Multiplies the tolerances.

    Raises:
        ModelError: ``model.golden_mismatch``, ``model.load_failed``, ``model.sha256_mismatch``,
            ``model.not_installed``.
    """
    if version.golden is None:
        raise ModelError(ErrorCode.MODEL_NOT_INSTALLED, f"{version.id} is not installed")
    return verify_golden(
        decode_golden(read_verified(folder, version.golden)),
        classifier,
        labels,
        model_decoder(version),
        inputs=inputs or make_golden_inputs(version.input.height, version.input.width),
        output=version.output or OutputKind.PROBABILITIES,
        factor=factor,
    )


def make_evidence(machine: Machine, loaded: LoadedModel) -> Evidence:
    """Returns the proof that this kind of host reproduced the golden outputs."""
    return Evidence(
        host=machine.host,
        backend=loaded.variant.backend,
        libraries=machine.libraries(loaded.variant.engine),
        deviation=round(loaded.report.deviation, 6),
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
            inputs=make_golden_inputs(version.input.height, version.input.width),
            output=version.output or OutputKind.PROBABILITIES,
            factor=_SHIPPED_FACTORS.get(version.id, 1.0),
        )
