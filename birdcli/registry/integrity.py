"""Every byte of an installed version against its digests."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode, ModelError
from birdcli.hashing import verify_digest

if TYPE_CHECKING:
    from pathlib import Path

    from birdcli.model_version import ModelVersion

PREPARED_FOLDER: Final = "prepared"
"""Where graphs derived from a model are, below its version's folder."""


def verify_version_files(version: ModelVersion, folder: Path, registry: Path) -> None:
    """Hashes every file of an installed version.

    Args:
        version: The version.
        folder: Where its files are.
        registry: The registry's folder; nothing between the two may be a link.

    Raises:
        ModelError: ``model.not_installed``, or ``model.sha256_mismatch`` naming the file that
            differs, is missing (prepared graphs may be), is a link, or is not in the manifest.
    """
    if version.files is None or version.golden is None:
        raise ModelError(
            ErrorCode.MODEL_NOT_INSTALLED,
            f"{version.id} is declared, but not installed",
            hint=f"birdcli registry pull {version.id}",
            model=version.id,
        )
    try:
        is_link = folder.resolve() != registry.resolve() / folder.relative_to(registry)
    except (OSError, RuntimeError):  # a link to itself
        is_link = True
    if is_link:
        raise ModelError(ErrorCode.MODEL_SHA256_MISMATCH, f"{folder} is a link", path=str(folder))
    expected = expected_digests(version)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if relative not in expected and _is_on_its_way(path, folder):
            continue
        if path.is_symlink() or (not path.is_dir() and relative not in expected):
            raise ModelError(
                ErrorCode.MODEL_SHA256_MISMATCH,
                f"{path} does not belong to {version.id}",
                hint="Somebody put it there after the model was installed.",
                path=str(path),
            )
    remade = {entry.path for entry in version.prepared}
    for relative, sha256 in expected.items():
        path = folder / relative
        if relative in remade and not path.exists():
            continue  # whoever needs it makes it anew
        try:
            verify_digest(path, sha256)
        except ModelError as err:
            raise _with_remedy(err, version, path if relative in remade else None) from None


def _with_remedy(err: ModelError, version: ModelVersion, prepared: Path | None) -> ModelError:
    """Returns an error about a damaged file with the command that mends it."""
    hint = f"`birdcli registry pull {version.id}` installs a damaged version again."
    if prepared is not None:
        hint = f"Remove the file if you know what damaged it: it is made anew. Or: {hint}"
    return ModelError(err.code, err.message, hint=hint, **dict(err.details))


def _is_on_its_way(path: Path, folder: Path) -> bool:
    """Tells whether a file is a prepared graph that another process writes at this moment.

    Or one that it did not come to list, or one that it has just renamed or taken away. Nobody reads
    prepared graphs that are not listed, whereas engines read whatever they find beside a model.
    """
    if path.parent != folder / PREPARED_FOLDER:
        return False
    try:
        return stat.S_ISREG(path.lstat().st_mode)  # one look: it may come and go between two
    except FileNotFoundError:
        return True


def expected_digests(version: ModelVersion) -> dict[str, str]:
    """Returns the digest of each file of an installed version, by path below its folder."""
    entries = [*(version.files or ()), *version.prepared]
    if version.golden is not None:
        entries.append(version.golden)
    expected = {entry.path: entry.sha256 for entry in entries}
    for text in (version.labels, version.names):
        if text is not None and text.sha256 is not None:
            expected[text.path] = text.sha256
    return expected
