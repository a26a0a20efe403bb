"""Many processes that change one registry at once."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path

from birdcli.errors import ModelError
from scripts.registry_proof.faults import find_litter
from scripts.registry_proof.placeholder import EVIDENCE, WHO, install, open_registry


def _change_many(home: str, worker: int, changes: int) -> None:
    registry = open_registry(Path(home), lock_timeout_s=300.0)
    for number in range(changes // 2):
        model = install(registry, "birds", f"{worker}.{number}")
        registry.promote(
            registry.resolve(model), EVIDENCE, alias=f"alias-{worker}", note="", who=WHO
        )


def race(processes: int, changes: int) -> list[str]:
    """Lets processes install and promote at once.

    Args:
        processes: How many.
        changes: How many changes each makes, an even number.

    Returns:
        What was lost or wrong; nothing if all is well.
    """
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=_change_many, args=(folder, worker, changes))
            for worker in range(processes)
        ]
        for process in workers:
            process.start()
        for process in workers:
            process.join()
        problems += [f"a process ended with {p.exitcode}" for p in workers if p.exitcode]
        registry = open_registry(Path(folder))
        installed = {v.id: v for v in registry.load().versions if v.installed}
        wanted = {f"birds@{w}.{n}" for w in range(processes) for n in range(changes // 2)}
        problems += [f"{model} is lost" for model in sorted(wanted - installed.keys())]
        for version in installed.values():
            try:
                registry.verify_files(version)
            except ModelError as err:
                problems.append(err.message)
        for worker in range(processes):
            if registry.alias_target(f"alias-{worker}") != f"birds@{worker}.{changes // 2 - 1}":
                problems.append(f"alias-{worker} lost its last promotion")
        entries = len(registry.history())
        if entries != processes * changes:
            problems.append(f"the history has {entries} entries, not {processes * changes}")
        problems += find_litter(Path(folder))
    return problems
