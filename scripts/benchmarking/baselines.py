"""The baselines as commands to measure."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from birdcli.models.files import MODULE_FOLDER
from scripts.benchmarking.bench import tell
from scripts.benchmarking.process import ROOT, ProcessFailedError, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarking.bench import Bench
    from scripts.benchmarking.process import Measured

IN_PROCESS: Final = ("keras", "threads")
LOCK: Final = ROOT / "requirements-img2dataset.lock"


def baseline(bench: Bench, name: str) -> Callable[[Path], Measured]:
    """Returns the function that runs a baseline over a list; see `run_baseline`."""
    return lambda inputs: run_baseline(bench, name, inputs)


def run_baseline(bench: Bench, name: str, inputs: Path) -> Measured:
    """Runs a program of `scripts/baselines` over a list.

    Raises:
        ProcessFailedError: It failed, or a record is missing.
    """
    version = bench.version
    command = [
        *(sys.executable, "-m", f"scripts.baselines.{name}"),
        *(str(bench.folder / MODULE_FOLDER), version.signature, str(version.input.height)),
        *(str(bench.folder / version.labels.path), str(inputs)),
    ]
    done = measure(command)
    wanted, found = inputs.read_text().count("\n"), done.stdout.count(b"\n")
    if wanted != found:
        raise ProcessFailedError(f"{command}: {found} records for {wanted} inputs")
    return done


class Img2Dataset:
    """img2dataset in an environment of its own: it needs other versions than birdcli."""

    def __init__(self, folder: Path) -> None:
        """Makes the environment as the lock says, unless it is there.

        Args:
            folder: Where it is, or will be.
        """
        self._folder = folder
        self._output = folder.with_name("img2dataset-output")
        mark = folder / "made-of"
        digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
        if mark.exists() and mark.read_text() == digest:
            return
        tell("making an environment for img2dataset (200 MB to download)")
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [
                *(str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-deps"),
                *("--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCK)),
            ],
        ):
            subprocess.run(command, env=clean, check=True, stdout=sys.stderr)
        mark.write_text(digest)

    def run(self, urls: Path, *, size: int) -> Measured:
        """Downloads and resizes a list of URLs; keeps nothing.

        Its fastest settings on two cores: a process for each core and several shards for each
        process, no files, no EXIF, no digests.

        Raises:
            ProcessFailedError: It failed, or not every picture arrived.
        """
        shutil.rmtree(self._output, ignore_errors=True)
        count, cores = urls.read_text().count("\n"), os.cpu_count() or 1
        done = measure(
            [
                *(self._folder / "bin/img2dataset", "--url_list", urls, "--input_format", "txt"),
                *("--output_folder", self._output, "--output_format", "dummy"),
                *("--image_size", str(size), "--resize_mode", "center_crop"),
                *("--processes_count", str(cores), "--thread_count", "16"),
                *("--number_sample_per_shard", str(max(1, count // (3 * cores)))),
                *("--extract_exif", "False", "--compute_hash", "None", "--retries", "0"),
            ],
            environment={
                **{key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
                "NO_ALBUMENTATIONS_UPDATE": "1",  # it would ask the net for a newer version
            },
        )
        if "success: 1.000" not in done.stdout.decode() + done.stderr:
            raise ProcessFailedError(f"img2dataset lost pictures:\n{done.stderr[-1000:]}")
        return done
