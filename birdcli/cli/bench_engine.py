"""One engine over the files of a home, as a worker process measures it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from birdcli.bench.inference import bench_pixels, measure_inference
from birdcli.bench.whole import WholeRun, measure_whole
from birdcli.bench.worker import Loaded
from birdcli.cli.context import open_registry
from birdcli.cli.engine import RunEngine
from birdcli.errors import ErrorCode, ModelError
from birdcli.models.load import load_labels
from birdcli.models.precision import Precision
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from birdcli.bench.rounds import Work
    from birdcli.items import RgbBatch
    from birdcli.models.load import LoadedModel
    from birdcli.models.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOrder:
    """What a worker process measures.

    Attributes:
        model: `name@version`.
        paths: Photos in their order.
        cpus: CPUs to use.
        streams: Batches at once; None for the engine's usual number.
    """

    model: str
    paths: tuple[str, ...]
    cpus: int
    streams: int | None = None


class ModelBench:
    """An `EngineBench` over an installed version."""

    def __init__(self, order: BenchOrder) -> None:
        """Reads the version anew: another process may have kept graphs that it prepared.

        Raises:
            ModelError: The version cannot be used.
        """
        self._order = order
        self._registry = open_registry()
        self._version = self._registry.resolve(order.model)
        self._labels = load_labels(self._registry.version_folder(self._version), self._version)
        size = self._version.input
        self._run = WholeRun(
            paths=order.paths,
            labels=self._labels,
            decode=DecodeSettings(
                height=size.height,
                width=size.width,
                preprocessing=size.preprocessing,
            ),
            cpus=order.cpus,
        )
        self._loaded: dict[Variant, LoadedModel] = {}
        self._pixels: dict[int, RgbBatch] = {}

    def load(self, variant: Variant) -> Loaded:
        """See `EngineBench`."""
        people = io.StringIO()
        engine = RunEngine(
            self._registry,
            self._version,
            self._labels,
            engine=variant.engine,
            precision=_asked_precision(variant),
            threads=self._order.cpus,
            streams=self._order.streams,
            people=people,
        )
        classifier = engine.load()
        engine.keep()
        loaded = engine.loaded
        if loaded is None or loaded.variant != variant:
            raise ModelError(ErrorCode.MODEL_LOAD_FAILED, f"{engine.backend} answers instead of it")
        self._loaded[variant] = loaded
        return Loaded(
            start=loaded.start,
            streams=classifier.streams,
            prepared=bool(loaded.made),
            notes=tuple(people.getvalue().splitlines()),
        )

    def infer(self, variant: Variant, batch_size: int, seconds: float) -> Work:
        """See `EngineBench`."""
        if batch_size not in self._pixels:
            size = self._version.input
            self._pixels[batch_size] = bench_pixels(size.height, size.width, batch_size)
        return measure_inference(
            self._loaded[variant].classifier,
            self._pixels[batch_size],
            cpus=self._order.cpus,
            seconds=seconds,
        )

    def classify(self, variant: Variant, batch_size: int, images: int) -> Work:
        """See `EngineBench`."""
        classifier = self._loaded[variant].classifier
        return measure_whole(self._run, classifier, batch_size=batch_size, images=images)


def _asked_precision(variant: Variant) -> Precision:
    """Returns what a user would ask for to get a variant."""
    try:
        return Precision(variant.precision)
    except ValueError:  # what a TFLite file is stored in
        return Precision.AUTO
