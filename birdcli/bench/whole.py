"""How fast files become answers through the pipeline that `classify` runs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from birdcli.bench.rounds import Work
from birdcli.decode import PillowDecoder
from birdcli.errors import ErrorCode, ModelError
from birdcli.inference import Engine
from birdcli.items import Failed, ImageRef, SourceKind
from birdcli.local import LocalReader
from birdcli.pipeline import Pipeline
from birdcli.settings import BatchSettings, PipelineSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import FetchedImage, Outcome, Timings, Validators
    from birdcli.labels import LabelSet
    from birdcli.ports import Classifier
    from birdcli.settings import DecodeSettings

_MOST_FILE_BYTES: Final = 64_000_000
_DECODED_BYTES: Final = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRun:
    """What does not change between measurements.

    Attributes:
        paths: Files in their order, taken again and again.
        labels: The model's class names.
        decode: What files become; as many at once as there are CPUs.
        cpus: CPUs to use.
    """

    paths: Sequence[str]
    labels: LabelSet
    decode: DecodeSettings
    cpus: int


class _Count:
    """Counts answers, as the sink of a pipeline."""

    def __init__(self) -> None:
        self.named = 0
        self.failed: Failed | None = None

    def encode(self, outcome: Outcome) -> bytes:
        if isinstance(outcome, Failed):
            self.failed = outcome
        else:
            self.named += 1
        return b""

    def write(self, records: Sequence[bytes]) -> None:
        """Nobody reads them."""


def measure_whole(run: WholeRun, classifier: Classifier, *, batch_size: int, images: int) -> Work:
    """Classifies so many files, without a cache and without writing records.

    Args:
        run: What to classify.
        classifier: The engine.
        batch_size: Images in a batch at the most.
        images: How many.

    Raises:
        ModelError: ``model.load_failed`` if an image fails, which none did before.
    """
    count = _Count()
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    asyncio.run(_run(run, classifier, count, batch_size, images))
    wall_s = time.perf_counter() - started_s
    cpu_s = time.process_time() - started_cpu_s
    if count.failed is not None:
        raise ModelError(
            ErrorCode.MODEL_LOAD_FAILED,
            f"a photo failed while it was measured: {count.failed.error.message}",
        )
    return Work(
        images=count.named,
        images_per_s=count.named / wall_s,
        cpu_s=cpu_s,
        busy=min(1.0, cpu_s / wall_s / run.cpus),
    )


async def _run(
    run: WholeRun, classifier: Classifier, sink: _Count, batch_size: int, images: int
) -> None:
    pixel_bytes = 3 * run.decode.height * run.decode.width
    pipeline = Pipeline(
        fetcher=_NoDownloads(),
        reader=LocalReader(max_bytes=_MOST_FILE_BYTES),
        decoder=PillowDecoder(run.decode),
        engine=Engine(lambda: classifier),
        labels=run.labels,
        model="bench",
        answers=None,
        sink=sink,
        settings=PipelineSettings(
            decoding=run.cpus,
            decoded_ahead=max(2 * batch_size, _DECODED_BYTES // pixel_bytes),
        ),
        batching=BatchSettings(max_size=batch_size),
        clock=time.perf_counter,
    )
    await pipeline.run(_refs(run.paths, images), stop=asyncio.Event())


class _NoDownloads:
    """The fetcher of a run over files."""

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        """Is never asked: every input is a file."""
        raise AssertionError(ref.source)


def _refs(paths: Sequence[str], images: int) -> Iterator[ImageRef]:
    for index in range(images):
        yield ImageRef(index=index, source=paths[index % len(paths)], kind=SourceKind.FILE)
