"""Installing and proving versions from a command: downloads, credentials, messages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from birdcli.cli.context import user_name
from birdcli.cli.people import fresh_line
from birdcli.errors import ErrorCode, ModelError
from birdcli.host import usable_cpus
from birdcli.masking import masked_message
from birdcli.model_version import OutputKind
from birdcli.outside_text import visible_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from birdcli.model_version import Evidence, ModelVersion
    from birdcli.models.install import InstallTools
    from birdcli.registry import Registry


def install_tools(people: IO[str], *, name: str, partials: Path | None = None) -> InstallTools:
    """Returns what an installation needs.

    Args:
        people: Where to say what is happening.
        name: The model.
        partials: Where to keep downloads that break off; None keeps none.
    """
    from birdcli.models.install import InstallTools

    def download(sources: Sequence[str], destination: Path) -> str:
        from birdcli.credentials import load_credentials
        from birdcli.models.download import download_first

        return download_first(
            sources,
            destination,
            partials=partials,
            name=name,
            credentials=load_credentials(
                netrc=os.environ.get("NETRC"),
                kaggle_username=os.environ.get("KAGGLE_USERNAME"),
                kaggle_key=os.environ.get("KAGGLE_KEY"),
            ),
        )

    return InstallTools(
        download=download,
        say=lambda text: print_line(people, f"birdcli: {text} …"),
        warn=lambda text: print_line(people, f"birdcli: warning: {text}"),
        who=user_name(),
        threads=usable_cpus(),
    )


def partials_folder(registry: Registry) -> Path:
    """Returns where a registry keeps downloads that broke off."""
    return registry.folder / "downloads"


def print_line(people: IO[str], text: str) -> None:
    """Writes one line for people, without the passwords of URLs in it."""
    people.write(f"{fresh_line(people)}{visible_text(masked_message(text))}\n")
    people.flush()


def damage(registry: Registry, version: ModelVersion) -> str | None:
    """Returns what is wrong with the files of an installed version, or None."""
    try:
        registry.verify_files(version)
    except ModelError as err:
        return err.message
    return None


def deviation_unit(version: ModelVersion) -> str:
    """Returns what the deviation of a version's golden outputs is measured in."""
    return "(probability)" if version.output is OutputKind.PROBABILITIES_8BIT else "nat"


def prove(
    registry: Registry, version: ModelVersion, people: IO[str]
) -> tuple[ModelVersion, Evidence]:
    """Hashes a version, runs its golden outputs on this host and records the proof.

    Where the home can only be read, the proof holds without a record.

    Returns:
        The version, with graphs that had to be prepared for this host, and the proof.

    Raises:
        ModelError: ``model.sha256_mismatch``, ``model.golden_mismatch`` or why it cannot be loaded.
    """
    from birdcli.models.proof import prove_installed

    registry.verify_files(version)
    proof = prove_installed(
        version,
        registry.version_folder(version),
        threads=usable_cpus(),
        warn=lambda text: print_line(people, f"birdcli: warning: {text}"),
    )
    return keep(registry, version, proof.evidence, proof.made, people), proof.evidence


def keep(
    registry: Registry,
    version: ModelVersion,
    evidence: Evidence | None,
    made: Mapping[str, bytes],
    people: IO[str],
) -> ModelVersion:
    """Records a proof, if there is one, and what was prepared, where the home can be written.

    Returns:
        The version as it is recorded.
    """
    try:
        return registry.keep_proof(version, evidence, made, who=user_name())
    except ModelError as err:
        if err.code is not ErrorCode.MODEL_UNWRITABLE:
            raise
        what = "what was prepared for this machine" if made else "the proof"
        print_line(people, f"birdcli: warning: {what} is not kept: {err.message}")
    return version


def withdraw(registry: Registry, version: ModelVersion, people: IO[str]) -> None:
    """Takes back what this kind of host has proven of a version that it no longer reproduces."""
    from birdcli.models.engines import this_machine

    machine = this_machine()
    try:
        registry.withdraw_evidence(version.id, host=machine.host, installed=machine.versions)
    except ModelError as err:
        print_line(people, f"birdcli: warning: old proofs are not withdrawn: {err.message}")
