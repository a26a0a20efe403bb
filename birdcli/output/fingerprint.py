"""The settings that decide answers, kept beside a file of records."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from birdcli.errors import ErrorCode, OutputError
from birdcli.files import atomic_writer
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Setting: TypeAlias = str | int | float | bool | None

_SUFFIX: Final = ".fingerprint.json"
_LARGEST_BYTES: Final = 1_000_000
_SALT_BYTES: Final = 16


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    salt: str
    settings: dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes the answers of two runs comparable.

    Attributes:
        settings: All that decides answers besides the picture, by name.
        salt: For digests of inputs that a record must not hold, 16 bytes.
    """

    settings: Mapping[str, Setting]
    salt: bytes


def new_fingerprint(settings: Mapping[str, Setting]) -> Fingerprint:
    """Returns the fingerprint of a new output."""
    return Fingerprint(settings, secrets.token_bytes(_SALT_BYTES))


def fingerprint_path(output: Path) -> Path:
    """Returns where the fingerprint of an output is: beside it, its name with a suffix."""
    return output.with_name(output.name + _SUFFIX)


@contextmanager
def fingerprint_stored(output: Path, fingerprint: Fingerprint) -> Iterator[None]:
    """Writes the fingerprint of an output; it takes its place after the block, whole and synced.

    Raises:
        OSError: It cannot be written, which is known before the block unless the system fails.
    """
    fields = {"schema": 1, "salt": fingerprint.salt.hex(), "settings": fingerprint.settings}
    with atomic_writer(fingerprint_path(output)) as file:
        os.fchmod(file.fileno(), 0o600)  # with the salt, others could try passwords at leisure
        file.write(json.dumps(fields, indent=1).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        yield


def load_fingerprint(output: Path) -> Fingerprint | None:
    """Returns the fingerprint of an output, or None if it has none that can be read."""
    try:
        with open(fingerprint_path(output), "rb", opener=_unblocked) as file:
            found = msgspec.json.decode(file.read(_LARGEST_BYTES), type=_File)
        return Fingerprint(found.settings, bytes.fromhex(found.salt))
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def _unblocked(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe there must not make us wait


def verify_same_settings(
    output: Path, earlier: Mapping[str, Setting], now: Mapping[str, Setting]
) -> None:
    """Raises unless a run would give the answers that the run before it gave.

    Raises:
        OutputError: ``output.settings_differ``, naming the first setting that differs.
    """
    for name in sorted({*earlier, *now}):
        before, after = earlier.get(name), now.get(name)
        if before != after:
            raise OutputError(
                ErrorCode.OUTPUT_SETTINGS_DIFFER,
                f"{visible_text(output.name)} was begun with {name} {_word(before)}, "
                f"and this run has {_word(after)}",
                hint="Repeat the earlier setting, choose another --output, or begin anew with "
                "--fresh.",
                setting=name,
                before=before,
                now=after,
            )


def _word(value: Setting) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return visible_text(text if len(text) <= 40 else f"{text[:12]}…")
