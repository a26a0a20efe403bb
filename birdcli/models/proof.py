"""A staged model proven on this host: golden outputs made, and reproduced by the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import sha256_of_file
from birdcli.labels import check_class_count
from birdcli.model_version import FileEntry, ModelFormat, OutputKind
from birdcli.models.claims import doubt_levels
from birdcli.models.engines import EngineName, this_machine
from birdcli.models.files import GOLDEN_FILE, MODULE_FOLDER, TFLITE_FILE
from birdcli.models.formats import demand_format, recognise
from birdcli.models.golden import encode_golden, make_golden, run_probes
from birdcli.models.load import (
    ModelLoader,
    load_labels,
    make_evidence,
    model_decoder,
    verify_against_shipped,
    verify_own_golden,
)
from birdcli.models.outputs import detect_output
from birdcli.models.prepared import graph_spec, prepared_entries, unfit
from birdcli.models.variants import plan_variants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from birdcli.backends.signature import Signature
    from birdcli.backends.tflite_file import TfliteFacts
    from birdcli.labels import LabelSet
    from birdcli.model_version import Evidence, ModelVersion
    from birdcli.models.engines import Machine
    from birdcli.models.load import LoadedModel
    from birdcli.ports import Classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of holding a version against its golden outputs.

    Attributes:
        evidence: That this kind of host reproduces them.
        made: Prepared graphs that had to be made for it: path below the version's folder, content.
    """

    evidence: Evidence
    made: Mapping[str, bytes]


def inspect_staged(staged: Path, found: ModelFormat, *, asked: str | None, model: str) -> Signature:
    """Reads what a staged model says of itself, without running it.

    Args:
        staged: A folder with the model in `module`.
        found: Its format.
        asked: The signature to use, or None for the usual or only one.
        model: What to call the model in messages.

    Raises:
        ModelError: ``model.unsafe_op``, ``model.load_failed``, ``model.runtime_missing``.
    """
    if found is not ModelFormat.TFLITE:
        from birdcli.backends.tensorflow import inspect_model

        return inspect_model(staged / MODULE_FOLDER, asked=asked, model=model)
    if asked is not None:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{model} is a TFLite file, which has one way in and out: no --signature",
        )
    return _tflite_facts(staged, model).signature


def _tflite_facts(staged: Path, model: str) -> TfliteFacts:
    from birdcli.backends.tflite_file import read_tflite

    return read_tflite((staged / TFLITE_FILE).read_bytes(), model=model)


def _file_entry(path: Path, folder: Path) -> FileEntry:
    return FileEntry(
        path=path.relative_to(folder).as_posix(),
        bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
    )


def pin_files(version: ModelVersion, staged: Path) -> ModelVersion:
    """Returns the version with the digests of its staged files.

    Raises:
        ModelError: ``model.sha256_mismatch`` if the declaration names others.
    """
    paths = sorted((staged / MODULE_FOLDER).rglob("*"))
    files = tuple(_file_entry(path, staged) for path in paths if path.is_file())
    if version.files is not None and version.files != files:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"these are not the files of {version.id} that the manifest names",
        )
    return msgspec.structs.replace(version, files=files)


def prove_staged(
    version: ModelVersion, staged: Path, *, threads: int, warn: Callable[[str], None]
) -> ModelVersion:
    """Makes golden outputs and what the engine prepares, and proves that this host reproduces them.

    Args:
        version: The version, its files and labels pinned.
        staged: The folder with all of them.
        threads: CPUs to use.
        warn: Tells people what is doubtful.

    Returns:
        The version with its kind of output, golden outputs, prepared graph and proof.

    Raises:
        ModelError: ``model.golden_mismatch``, ``model.labels_invalid``, ``model.load_failed``,
            ``model.unsafe_op``, ``model.runtime_missing``.
    """
    labels = load_labels(staged, version)
    if version.names is not None and version.names.sha256 and not any(labels.common_names):
        warn(f"not one of the English names of {version.id} belongs to a label of its map")
    if version.format is ModelFormat.TFLITE:
        facts = _tflite_facts(staged, version.id)
        doubt = doubt_levels(facts.level_range, model=version.id)
        if doubt is not None:
            warn(doubt)
        version, untouched = _settle_tflite(version, staged, labels, facts, threads)
    else:
        version, untouched = _settle_graph(version, staged, labels, threads)
    golden = make_golden(
        untouched,
        labels,
        model_decoder(version),
        height=version.input.height,
        width=version.input.width,
    )
    verify_against_shipped(untouched, version, labels)
    (staged / GOLDEN_FILE).write_bytes(encode_golden(golden))
    version = msgspec.structs.replace(version, golden=_file_entry(staged / GOLDEN_FILE, staged))
    version = version.with_prepared(())
    machine = this_machine()
    loaded = _load_prepared(version, staged, labels, machine, threads=threads, warn=warn)
    version = keep_in_staging(version, staged, loaded.made)
    return version.with_evidence(make_evidence(machine, loaded))


def keep_in_staging(version: ModelVersion, staged: Path, made: Mapping[str, bytes]) -> ModelVersion:
    """Writes prepared graphs beside a staged version and returns the version with them."""
    for path, data in made.items():
        (staged / path).parent.mkdir(exist_ok=True)
        (staged / path).write_bytes(data)
    return version.with_prepared((*version.prepared, *prepared_entries(made.items())))


def _load_prepared(
    version: ModelVersion,
    folder: Path,
    labels: LabelSet,
    machine: Machine,
    *,
    threads: int,
    warn: Callable[[str], None],
) -> LoadedModel:
    """Returns the fastest variant that reproduces the golden outputs, never the untouched model.

    If none does, the prepared graph may belong to another model. The graph that all others are made
    of is prepared in any case: TensorFlow is there now, and need not be imported again for it.
    """
    loader = ModelLoader(folder, version, labels, machine, threads=threads, warn=warn)
    plan = [it for it in plan_variants(version, machine) if not it.reference]
    if machine.has(EngineName.TENSORFLOW) and version.format is not ModelFormat.TFLITE:
        loader.preparation.graph()
        if machine.bfloat16:
            _prepare_bfloat16(loader)
    return loader.load(plan)


def _prepare_bfloat16(loader: ModelLoader) -> None:
    """Prepares the faster graph; a model that cannot have one runs without it."""
    try:
        loader.preparation.bfloat16_graph()
    except ModelError as err:
        if not unfit(err):
            raise


def prove_installed(
    version: ModelVersion, folder: Path, *, threads: int, warn: Callable[[str], None]
) -> Proof:
    """Holds a version against its golden outputs: the untouched model, then what answers for it.

    The untouched model has to reproduce them as well: otherwise golden outputs and prepared graph
    could belong to each other and to another model.

    Args:
        version: A version with golden outputs, every byte verified.
        folder: Where its files are.
        threads: CPUs to use.
        warn: Tells people what is slower than it could be.

    Returns:
        The proof of this host.

    Raises:
        ModelError: ``model.golden_mismatch``, ``model.labels_invalid``, ``model.load_failed``,
            ``model.unsafe_op``, ``model.runtime_missing``.
    """
    if not (folder / MODULE_FOLDER).is_dir():
        raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{version.id} holds no model")
    if version.format is not ModelFormat.EFFICIENTNET_LITE0:  # stored as a SavedModel
        found = recognise(folder / MODULE_FOLDER, source=version.id)
        demand_format(found.format, version.format, source=version.id)
    labels = load_labels(folder, version)
    undecided = msgspec.structs.replace(version, output=None)
    if version.format is ModelFormat.TFLITE:
        facts = _tflite_facts(folder, version.id)
        settled, untouched = _settle_tflite(undecided, folder, labels, facts, threads)
    else:
        settled, untouched = _settle_graph(undecided, folder, labels, threads)
    if settled.output is not version.output:
        raise ModelError(
            ErrorCode.MODEL_GOLDEN_MISMATCH,
            f"{version.id} gives {settled.output}, not {version.output} as the manifest says",
            part="scores",
        )
    verify_own_golden(untouched, version, folder, labels)
    machine = this_machine()
    loaded = _load_prepared(version, folder, labels, machine, threads=threads, warn=warn)
    verify_against_shipped(loaded.classifier, version, labels)
    return Proof(evidence=make_evidence(machine, loaded), made=loaded.made)


def _settle_graph(
    version: ModelVersion, staged: Path, labels: LabelSet, threads: int
) -> tuple[ModelVersion, Classifier]:
    """Returns the version with its kind of output, and the untouched model in TensorFlow."""
    from birdcli.backends import tensorflow as backend
    from birdcli.backends.tensorflow_runtime import configure_threads

    configure_threads(threads)

    def load(version: ModelVersion) -> Classifier:
        return backend.load_reference(staged / MODULE_FOLDER, graph_spec(version))

    return _settle_output(version, labels, load, eight_bit=False)


def _settle_tflite(
    version: ModelVersion, staged: Path, labels: LabelSet, facts: TfliteFacts, threads: int
) -> tuple[ModelVersion, Classifier]:
    """Returns the version with its kind of output, and the model in LiteRT."""
    from birdcli.backends.litert import load_tflite, try_in_child

    path = staged / TFLITE_FILE
    if facts.eight_bit and facts.last_op == "LOGISTIC":
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{version.id} ends with a sigmoid for each class, whose scores are no probabilities "
            "of one species per picture",
            hint="Export it with a softmax at its end, or without the sigmoid.",
        )
    try_in_child(path, version.input, model=version.id)

    def load(version: ModelVersion) -> Classifier:
        return load_tflite(
            path.read_bytes(),
            model=version.id,
            spec=version.input,
            output=version.output or OutputKind.PROBABILITIES,
            threads=threads,
        )

    return _settle_output(version, labels, load, eight_bit=facts.eight_bit)


def _settle_output(
    version: ModelVersion,
    labels: LabelSet,
    load: Callable[[ModelVersion], Classifier],
    *,
    eight_bit: bool,
) -> tuple[ModelVersion, Classifier]:
    untouched = load(version)
    check_class_count(labels.labels, untouched.class_count)
    if version.output is None:
        raw = run_probes(untouched, version.input.height, version.input.width, batch=1)
        output = detect_output(raw, model=version.id, eight_bit=eight_bit)
        version = msgspec.structs.replace(version, output=output)
        if output is OutputKind.LOGITS:
            untouched = load(version)
    return version, untouched
