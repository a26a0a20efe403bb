"""What loading a model and inference alone cost; prints JSON.

    python -m scripts.benchmarking.engine_probe MODEL [--engine E] [--precision P] [--batches 8,32]

Inference runs with as many streams as the engine allows, so that all cores are busy, on noise: what
is computed does not depend on what is seen.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from birdcli.cli.context import open_registry
from birdcli.host import usable_cpus
from birdcli.models.engines import EngineName, this_machine
from birdcli.models.load import ModelLoader, load_labels
from birdcli.models.precision import Precision
from birdcli.models.variants import plan_variants
from birdcli.streams import protected_streams

if TYPE_CHECKING:
    from birdcli.items import RgbBatch
    from birdcli.model_version import ModelVersion
    from birdcli.ports import Classifier

_SECONDS: Final = 2.0
_LIBRARIES: Final = {
    "tensorflow": ("tensorflow",),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert.interpreter",),
}


def load(
    version_id: str, engine: str, precision: str, threads: int
) -> tuple[Classifier, ModelVersion]:
    """Loads a model as `birdcli classify` does."""
    registry = open_registry()
    version = registry.resolve(version_id)
    registry.verify_files(version)
    folder, machine = registry.version_folder(version), this_machine()
    plan = plan_variants(
        version, machine, engine=EngineName(engine), precision=Precision(precision)
    )
    loader = ModelLoader(
        folder,
        version,
        load_labels(folder, version),
        machine,
        threads=threads,
        warn=lambda text: print(text, file=sys.stderr),
    )
    return loader.load(plan).classifier, version


def infer_all(classifier: Classifier, pixels: RgbBatch, cores: int, seconds: float) -> float:
    """Returns the core-seconds that an image takes while batches keep all cores busy."""
    streams = classifier.streams
    batches = [0] * streams
    started_s = time.perf_counter()

    def work(number: int) -> None:
        while time.perf_counter() - started_s < seconds:
            classifier.classify(pixels)
            batches[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(streams)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - started_s) * cores / (sum(batches) * len(pixels))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--engine", default="tensorflow")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batches", default="8")
    parser.add_argument("--seconds", type=float, default=_SECONDS)
    options = parser.parse_args()
    cores = usable_cpus()
    with protected_streams():
        started_s = time.perf_counter()
        for name in _LIBRARIES[options.engine]:
            importlib.import_module(name)
        imported_s = time.perf_counter()
        classifier, version = load(options.model, options.engine, options.precision, cores)
        loaded_s = time.perf_counter()
        found: dict[str, object] = {
            "backend": classifier.backend,
            "import_s": imported_s - started_s,
            "load_s": loaded_s - imported_s,
        }
        shape = (version.input.height, version.input.width, 3)
        random = np.random.default_rng(1)
        for text in options.batches.split(","):
            size = int(text)
            pixels = random.integers(0, 256, (size, *shape), dtype=np.uint8)
            classifier.classify(pixels)
            found[f"batch{size}_core_ms"] = (
                infer_all(classifier, pixels, cores, options.seconds) * 1000
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
