"""Names of archive members that can neither leave their folder nor meet each other."""

from __future__ import annotations

import unicodedata

from birdcli.errors import ErrorCode, ModelError

_MAX_PART_BYTES = 255  # NAME_MAX of every usual file system
_MAX_NAME_BYTES = 1000


def archive_unsafe(member: str, why: str) -> ModelError:
    """Returns the error that refuses an archive because of one member."""
    shown = member if len(member) <= 200 else f"{member[:200]}…"
    return ModelError(
        ErrorCode.MODEL_ARCHIVE_UNSAFE,
        f"the archive is unsafe: {shown!r} {why}",
        hint="Nothing was unpacked. Get the archive from a source that you trust.",
        member=ascii(shown)[1:-1],
    )


def split_member_name(name: str) -> tuple[str, ...]:
    """Returns the folders and the last part of a member's name.

    Args:
        name: As it stands in the archive, with `/` as separator.

    Returns:
        The parts, without empty ones and `.`; no parts for the root itself.

    Raises:
        ModelError: ``model.archive_unsafe`` for names that are absolute, lead upwards, mean
            something else on another system, are too long, or hold control characters.
    """
    if not name.isprintable():
        raise archive_unsafe(name, "has unprintable characters in its name")
    if name.startswith("/"):
        raise archive_unsafe(name, "is an absolute path")
    if "\\" in name or ":" in name:
        raise archive_unsafe(name, "has a backslash or colon in its name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise archive_unsafe(name, "leads out of the folder")
    lengths = [len(part.encode()) for part in parts]
    if sum(lengths) > _MAX_NAME_BYTES or max(lengths, default=0) > _MAX_PART_BYTES:
        raise archive_unsafe(name, "has too long a name")
    return parts


def _collision_key(parts: tuple[str, ...]) -> str:
    # Equal wherever a file system folds case or normalises: macOS, Windows, network shares.
    folded = unicodedata.normalize("NFC", "/".join(parts)).casefold()
    return unicodedata.normalize("NFC", folded)


class MemberTree:
    """The files and folders that an archive has made so far."""

    def __init__(self, max_members: int) -> None:
        """Starts empty; `max_members` bounds files and folders together."""
        self._max_members = max_members
        self._seen: dict[str, tuple[tuple[str, ...], bool]] = {}
        self._listed: set[tuple[str, ...]] = set()

    def add(self, name: str, *, is_folder: bool) -> tuple[str, ...]:
        """Adds a member with the folders above it.

        Returns:
            Its parts; none if it is the root.

        Raises:
            ModelError: ``model.archive_unsafe`` if the name is unsafe, the member collides with an
                earlier one, or there are too many.
        """
        parts = split_member_name(name)
        if not parts:
            if not is_folder:
                raise archive_unsafe(name, "is a file without a name")
            return parts
        for end in range(1, len(parts)):
            self._claim(name, parts[:end], is_folder=True)
        self._claim(name, parts, is_folder=is_folder)
        if parts in self._listed:
            raise archive_unsafe(name, "is there twice")
        self._listed.add(parts)
        return parts

    def _claim(self, name: str, parts: tuple[str, ...], *, is_folder: bool) -> None:
        found = self._seen.setdefault(_collision_key(parts), (parts, is_folder))
        if found[0] != parts:
            raise archive_unsafe(name, f"differs from {'/'.join(found[0])!r} in spelling only")
        if found[1] != is_folder:
            raise archive_unsafe(name, "is a file and a folder at once")
        if len(self._seen) > self._max_members:
            raise archive_unsafe(name, f"is one too many: at most {self._max_members} are allowed")
