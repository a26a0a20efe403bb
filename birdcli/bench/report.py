"""What a benchmark found, as values that explain themselves."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from birdcli.bench.rounds import Rounds

if TYPE_CHECKING:
    from birdcli.metrics import ColdStart
    from birdcli.models.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The machine.

    Attributes:
        cpus: CPUs in use.
        all_cpus: CPUs of the machine.
        usable_cpus: CPUs that this process may use.
        features: Architecture and vector features.
        bfloat16: Whether the processor computes in bfloat16.
        versions: Libraries by distribution, and birdcli's own.
    """

    cpus: int
    all_cpus: int
    usable_cpus: int
    features: str
    bfloat16: bool
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFacts:
    """The photos.

    Attributes:
        generated: Whether they were drawn for this.
        measured: Different ones.
        found: How many there were to choose from.
        unreadable: How many of the chosen ones cannot be decoded.
        mean_bytes: Of a file.
        mean_megapixels: Of a picture.
        read_mb_s: First reading, 10^6 bytes per second; None if they were drawn.
        read_per_s: First reading, photos per second; None if they were drawn.
    """

    generated: bool
    measured: int
    found: int
    unreadable: int
    mean_bytes: float
    mean_megapixels: float
    read_mb_s: float | None
    read_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeClass:
    """Photos of about a size.

    Attributes:
        name: In words.
        share: Of all photos, 0 to 1.
        core_ms: What decoding one costs, milliseconds of one core.
    """

    name: str
    share: float
    core_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeFacts:
    """Decoding alone, on all CPUs in use.

    Attributes:
        images_per_s: Throughput.
        core_ms: What one costs, milliseconds of one core.
        busy: Share of the CPUs in use that this got, 0 to 1: nothing else holds it up.
        sizes: The cost by size.
    """

    images_per_s: Rounds
    core_ms: float
    busy: float
    sizes: tuple[SizeClass, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceFacts:
    """Inference alone, on all CPUs in use.

    Attributes:
        engine: The engine.
        precision: As `Variant.precision`.
        batch_size: Images in a batch.
        streams: Batches at once.
        images_per_s: Throughput.
        core_ms: What an image costs, milliseconds of one core.
    """

    engine: str
    precision: str
    batch_size: int
    streams: int
    images_per_s: Rounds
    core_ms: float

    @property
    def backend(self) -> str:
        """As records name it."""
        return f"{self.engine}/{self.precision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFacts:
    """From files to answers, through the pipeline of `classify`.

    Attributes:
        engine: The engine.
        precision: As `Variant.precision`.
        batch_size: Images in a batch at the most.
        streams: Batches at once.
        images_per_s: Throughput.
        core_ms: What an image costs in all, milliseconds of one core.
        decode_core_ms: Of that, decoding, as measured alone.
        inference_core_ms: Of that, inference, as measured alone.
        busy: Share of the CPUs in use that this took, 0 to 1.
        bound_per_s: What decoding and inference alone would allow, images per second.
    """

    engine: str
    precision: str
    batch_size: int
    streams: int
    images_per_s: Rounds
    core_ms: float
    decode_core_ms: float
    inference_core_ms: float
    busy: float
    bound_per_s: float

    @property
    def backend(self) -> str:
        """As records name it."""
        return f"{self.engine}/{self.precision}"

    @property
    def reached(self) -> float:
        """Throughput over the bound."""
        return self.images_per_s.median / self.bound_per_s

    @property
    def other_core_ms(self) -> float:
        """What neither decoding nor inference explains: reading, hashing, passing on."""
        return max(0.0, self.core_ms - self.decode_core_ms - self.inference_core_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFacts:
    """A start in a new process.

    Attributes:
        engine: The engine.
        precision: As `Variant.precision`.
        imports_s: Importing the engine's library.
        model_s: Reading and compiling the model.
        first_batch_s: The golden outputs, its first batch.
        command_s: `birdcli classify` of one photo, from start to end.
    """

    engine: str
    precision: str
    imports_s: float
    model_s: float
    first_batch_s: float
    command_s: Rounds

    @staticmethod
    def of(variant: Variant, start: ColdStart, command_s: Rounds) -> StartFacts:
        """Returns the facts of a variant."""
        return StartFacts(
            engine=variant.engine,
            precision=variant.precision,
            imports_s=start.imports_s,
            model_s=start.model_s,
            first_batch_s=start.first_batch_s,
            command_s=command_s,
        )


class Finding(StrEnum):
    """What advice is about; stable, unlike its words."""

    INSTALL_FAST = "install_fast"
    NO_BFLOAT16 = "no_bfloat16"
    FEWER_CPUS = "fewer_cpus"
    LARGE_PHOTOS = "large_photos"
    SLOW_DISK = "slow_disk"
    SHARED_CPUS = "shared_cpus"
    IDLE_CPUS = "idle_cpus"
    MORE_CPUS = "more_cpus"
    TUNE = "tune"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Something to do, and why."""

    finding: Finding
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Everything.

    Attributes:
        host: The machine.
        model: `name@version`.
        photos: What was decoded.
        decode: Decoding alone.
        inference: Inference alone, by variant and batch size.
        whole: From files to answers, by engine; the first is what `classify` runs.
        start: Starts, by engine.
        bottleneck: What bounds the throughput, in words.
        advice: What would help, most first.
        warnings: What to know before believing the numbers.
    """

    host: HostFacts
    model: str
    photos: PhotoFacts
    decode: DecodeFacts
    inference: tuple[InferenceFacts, ...]
    whole: tuple[WholeFacts, ...]
    start: tuple[StartFacts, ...]
    bottleneck: str
    advice: tuple[Advice, ...]
    warnings: tuple[str, ...]


def json_value(value: object) -> object:
    """Returns a value of this module as JSON has it; figures keep 4 significant digits."""
    if isinstance(value, Rounds):
        return {
            "median": json_value(value.median),
            "spread": json_value(value.spread),
            "rounds": [json_value(number) for number in value.values],
        }
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, tuple):
        return [json_value(item) for item in value]
    if is_dataclass(value):
        row = {field.name: json_value(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, WholeFacts):
            row["reached"] = json_value(value.reached)
        return row
    return value
