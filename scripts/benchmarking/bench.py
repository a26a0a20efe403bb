"""What every section measures with: the model, the photos, the commands, rounds in turn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.host import library_versions
from birdcli.model_version import ModelFormat
from scripts.benchmarking.process import ROOT, ProcessFailedError, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from birdcli.model_version import ModelVersion
    from scripts.benchmarking.process import Measured

BIRDCLI: Final = (sys.executable, "-m", "birdcli")
TIMES: Final = 3
"""The second list of each pair is so many times as long: what it takes longer is no start."""
PRECISIONS: Final = ("reference", "float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way to run birdcli.

    Attributes:
        name: In results: an engine, or an engine with its precision.
        flags: Of `birdcli classify`.
    """

    name: str
    flags: tuple[str, ...]

    @property
    def engine(self) -> str:
        """The engine alone."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run of the report.

    Attributes:
        version: The installed model.
        folder: Its files.
        photos: The photo set, in order.
        scratch: For lists and outputs.
        pairs: How many rounds.
        quick: Whether a twentieth will do.
        engines: birdcli's engines that can run the model, TensorFlow first.
        seed: Of the photos.
    """

    version: ModelVersion
    folder: Path
    photos: tuple[Path, ...]
    scratch: Path
    pairs: int
    quick: bool
    engines: tuple[Variant, ...]
    seed: int

    @property
    def is_saved_model(self) -> bool:
        """Whether the baselines, which need TensorFlow Hub, can load the model."""
        return self.version.format in (ModelFormat.TF1_HUB, ModelFormat.SAVED_MODEL)

    @property
    def fastest(self) -> Variant:
        """The engine that `auto` takes: the last one."""
        return self.engines[-1]

    @property
    def list_sizes(self) -> tuple[int, ...]:
        """Lengths of lists up to the whole set: 1, 10, 100, and all."""
        return (*(size for size in (1, 10, 100) if size < len(self.photos)), len(self.photos))

    @property
    def times(self) -> int:
        """How many times longer the second list of each pair is."""
        return 20 if self.quick else TIMES

    def write_list(self, name: str, inputs: Sequence[str | Path]) -> Path:
        """Writes a list of inputs and returns where it is."""
        path = self.scratch / f"{name}.txt"
        path.write_text("".join(f"{item}\n" for item in inputs))
        return path

    def photo_list(self, count: int, *, times: int = 1) -> Path:
        """Returns a list of the first photos, `times` over."""
        chosen = [*self.photos[:count]] * times
        return self.write_list(f"photos-{count}x{times}", chosen)

    def runner(self, variant: Variant, *flags: str) -> Callable[[Path], Measured]:
        """Returns the function that classifies a list; see `classify`."""
        return lambda inputs: self.classify(variant, inputs, *flags)

    def classify(self, variant: Variant, inputs: Path, *flags: str) -> Measured:
        """Runs `birdcli classify` over a list, without cache, and counts its records.

        Raises:
            ProcessFailedError: An image failed, or a record is missing.
        """
        command = [
            *(*BIRDCLI, "classify", "--model", self.version.id, "--no-cache"),
            *(*variant.flags, *flags, "--from-file", str(inputs)),
        ]
        done = measure(command)
        wanted, found = inputs.read_text().count("\n"), done.stdout.count(b"\n")
        if wanted != found:
            raise ProcessFailedError(f"{command}: {found} records for {wanted} inputs")
        return done


def find_engines(version: ModelVersion) -> tuple[Variant, ...]:
    """Returns how this birdcli can run a version: TensorFlow first, what is faster after it."""
    if version.format is ModelFormat.TFLITE:
        return (Variant(name="litert", flags=()),)
    if "--engine" not in _help():
        return (Variant(name="tensorflow", flags=()),)
    names = ["tensorflow", *(["openvino"] if library_versions("openvino") else [])]
    return tuple(Variant(name=name, flags=("--engine", name)) for name in names)


def find_precisions(bench: Bench) -> tuple[Variant, ...]:
    """Returns every engine with every precision that this machine and this model have."""
    found = []
    inputs = bench.photo_list(1)
    known = _help()
    for engine in bench.engines:
        for precision in PRECISIONS:
            if precision not in known or (engine.name == "litert" and precision == "float32"):
                continue
            if precision == "reference" and engine.name == "openvino":  # it is TensorFlow's
                continue
            variant = Variant(
                name=f"{engine.name}/{precision}", flags=(*engine.flags, "--precision", precision)
            )
            try:
                bench.classify(variant, inputs)
            except ProcessFailedError as err:
                tell(f"{variant.name} is not to be had: {str(err).splitlines()[-1]}")
            else:
                found.append(variant)
    return tuple(found)


def _help() -> str:
    done = subprocess.run(
        [*BIRDCLI, "classify", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout


def in_turn(
    rounds: int, contenders: Mapping[str, Callable[[], Mapping[str, float]]], *, warm: bool = True
) -> dict[str, list[float]]:
    """Lets contenders run A B A B, and collects what each of them measures.

    Args:
        rounds: How many times each one runs.
        contenders: By name; each returns measurements by name, which end with their unit.
        warm: Whether a round before the first one fills the caches of the machine.

    Returns:
        `contender/measurement` to one value for each round.
    """
    samples: dict[str, list[float]] = {}
    for number in range(0 if warm else 1, rounds + 1):
        for name, run in contenders.items():
            measured = run()
            told = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
            tell(f"{number or 'warm-up'}: {name}: {told}")
            for key, value in measured.items():
                if number:
                    samples.setdefault(f"{name}/{key}", []).append(value)
    return samples


def process_figures(done: Measured) -> dict[str, float]:
    """Returns what a whole process cost, by name with unit."""
    return {"wall_s": done.wall_s, "cpu_s": done.cpu_s, "peak_mb": done.peak_mb}


def tell(text: str) -> None:
    """Says on stderr how far the report is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
