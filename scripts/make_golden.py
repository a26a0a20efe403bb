"""Writes the golden outputs that ship with the package, from a registry that has the models.

A host that is always wrong would reproduce its own golden outputs; these come from elsewhere. Run
it on a machine that has proven itself otherwise (the published reference outputs of
`aiy-birds-v1`, the labelled photos for `aiy-birds-lite`, the PyTorch oracle of `imagenet-birds`),
and look at the difference before you commit it:

    birdcli registry pull aiy-birds-v1 … && birdcli registry pull imagenet-birds
    python -m scripts.make_golden
"""

from __future__ import annotations

import sys
from pathlib import Path

from birdcli.cli.context import open_registry
from birdcli.models.golden import decode_golden, encode_golden
from birdcli.registry import load_builtin_manifest

FOLDER = Path(__file__).resolve().parent.parent / "birdcli" / "golden"


def main() -> int:
    """Writes one file for each built-in model that is installed; returns the exit code."""
    registry = open_registry()
    FOLDER.mkdir(exist_ok=True)
    written = 0
    for declared in load_builtin_manifest().versions:
        version = registry.resolve(declared.id)
        if not version.installed or version.golden is None:
            sys.stderr.write(f"{version.id} is not installed: skipped\n")
            continue
        registry.verify_files(version)
        golden = decode_golden(
            (registry.version_folder(version) / version.golden.path).read_bytes()
        )
        (FOLDER / f"{version.id}.npz").write_bytes(encode_golden(golden))
        sys.stderr.write(f"{version.id}: {golden.scores.shape[1]} classes\n")
        written += 1
    return 0 if written else 1


if __name__ == "__main__":
    raise SystemExit(main())
