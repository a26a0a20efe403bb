"""Any byte of a registry changed or cut away: refused, or without consequence."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from birdcli.errors import ModelError
from scripts.registry_proof.operations import prepare
from scripts.registry_proof.placeholder import open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Damages:
    """What came of many damages.

    Attributes:
        refused: How many ended in a `ModelError`.
        harmless: How many left the answer as it was: a note, a time, a proof.
        problems: Those that would have served something else, or crashed.
    """

    refused: int
    harmless: int
    problems: tuple[str, ...]


def _served(home: Path) -> tuple[str, str]:
    registry = open_registry(home)
    version = registry.resolve("production")
    registry.verify_files(version)
    return version.id, version.digest


def _damages(data: bytes, rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    for _ in range(count):
        position = rng.randrange(len(data))
        flipped = bytearray(data)
        flipped[position] ^= 1 << rng.randrange(8)
        yield f"bit flip at {position}", bytes(flipped)
    for _ in range(max(1, count // 10)):
        length = rng.randrange(len(data))
        yield f"cut to {length}", data[:length]


def damage_all(*, per_file: int, seed: int) -> Damages:
    """Damages every file of a registry in turn and asks what `production` serves.

    Args:
        per_file: Bit flips per file, and a tenth as many cuts.
        seed: Of the positions.
    """
    rng = random.Random(seed)
    refused = harmless = 0
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        prepare(home)
        right = _served(home)
        served = open_registry(home).version_folder(open_registry(home).resolve("production"))
        files = [path for path in served.rglob("*") if path.is_file()]
        files += [home / "registry" / name for name in ("manifest.json", "history.jsonl")]
        for path in files:
            data = path.read_bytes()
            for what, damaged in _damages(data, rng, per_file):
                path.write_bytes(damaged)
                try:
                    found = _served(home)
                except ModelError:
                    refused += 1
                except Exception as err:  # noqa: BLE001 - any other exception is what is looked for
                    problems.append(f"{path.name}, {what}: {type(err).__name__}: {err}")
                else:
                    harmless += 1
                    if found != right or path.parent.name != "registry":
                        problems.append(f"{path.name}, {what}: {found[0]} was served")
            path.write_bytes(data)
        shutil.rmtree(home)
    return Damages(refused=refused, harmless=harmless, problems=tuple(problems))
