"""One change of a registry in a process of its own, with a fault at one of its steps.

    python -m scripts.registry_proof.operations HOME STEP kill|full NAME
    python -m scripts.registry_proof.operations HOME STEP kill|full -- registry add …

A NAME is one of `OPERATIONS`; after `--` stands a real command line of birdcli. The number of steps
goes to stderr, last, if the process lives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from birdcli.errors import ModelError
from scripts.registry_proof.fault_hook import Fault, FaultHook
from scripts.registry_proof.placeholder import EVIDENCE, WHO, install, open_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from birdcli.registry import Registry


def prepare(home: Path) -> None:
    """Fills a home: birds@1 and @2 have been in production, @3 never, `canary` is @1.

    birds@1 has as many prepared graphs as there may be.
    """
    registry = open_registry(home)
    for version in ("1", "2", "3"):
        install(registry, "birds", version, weights=version.encode())
    for version, alias in (("1", "production"), ("2", "production"), ("1", "canary")):
        registry.promote(
            registry.resolve(f"birds@{version}"), EVIDENCE, alias=alias, note="", who=WHO
        )
    registry.keep_proof(registry.resolve("birds@1"), None, _graphs(range(7)), who=WHO)


def _add(registry: Registry) -> None:
    install(registry, "birds", "4", weights=b"4")


def _repair(registry: Registry) -> None:
    install(registry, "birds", "1", weights=b"1")


def _promote(registry: Registry) -> None:
    registry.promote(registry.resolve("birds@3"), EVIDENCE, alias="production", note="", who=WHO)


def _rollback(registry: Registry) -> None:
    registry.rollback(registry.resolve("birds@1"), EVIDENCE, alias="production", note="", who=WHO)


def _remove(registry: Registry) -> None:
    registry.remove("birds@3", note="", who=WHO)


def _remove_alias(registry: Registry) -> None:
    registry.remove_alias("canary", note="", who=WHO)


def _prune(registry: Registry) -> None:
    registry.prune(default="", note="", who=WHO)


PROOF = msgspec.structs.replace(EVIDENCE, host="another kind of host")


def _keep_proof(registry: Registry) -> None:
    registry.keep_proof(registry.resolve("birds@1"), PROOF, {}, who=WHO)


def _graphs(numbers: Iterable[int]) -> dict[str, bytes]:
    return {f"prepared/graph-{number}.pb": f"graph {number}".encode() for number in numbers}


def _prepare_graphs(registry: Registry) -> None:
    """One that is there already, and two more than there is room for."""
    registry.keep_proof(registry.resolve("birds@1"), PROOF, _graphs(range(6, 9)), who=WHO)


OPERATIONS: dict[str, Callable[[Registry], None]] = {
    "add": _add,
    "repair": _repair,
    "promote": _promote,
    "rollback": _rollback,
    "remove": _remove,
    "remove alias": _remove_alias,
    "prune": _prune,
    "keep proof": _keep_proof,
    "prepare": _prepare_graphs,
}


def main() -> int:
    """Does one change; returns the exit code of the command."""
    home, step, fault, name, *command = sys.argv[1:]
    hook = FaultHook(Path(home), step=int(step), fault=Fault(fault))
    code = 0
    if name == "--":
        from birdcli.cli.app import app

        result = app(command, prog_name="birdcli", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    else:
        try:
            OPERATIONS[name](open_registry(Path(home)))
        except ModelError as err:
            sys.stderr.write(f"error[{err.code}]: {err.message}\n")
            code = err.exit_code
    sys.stderr.write(f"\nsteps: {hook.steps}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
