"""How fast an engine answers, while nothing else runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from birdcli.bench.rounds import Work
from birdcli.models.probes import make_probes

if TYPE_CHECKING:
    from birdcli.items import RgbBatch
    from birdcli.ports import Classifier


def bench_pixels(height: int, width: int, batch_size: int) -> RgbBatch:
    """Returns generated pictures, uint8 [batch_size, height, width, 3]."""
    probes = make_probes(height, width)
    return np.resize(probes, (batch_size, *probes.shape[1:]))


def measure_inference(
    classifier: Classifier, pixels: RgbBatch, *, cpus: int, seconds: float
) -> Work:
    """Classifies one batch again and again for some time, in as many threads as it has streams.

    Args:
        classifier: The engine.
        pixels: The batch.
        cpus: How many CPUs there are to be busy.
        seconds: How long; each thread finishes the batch it is at.
    """
    started_s, started_cpu_s = time.perf_counter(), time.process_time()

    def work(_: int) -> tuple[int, float]:
        batches = 0
        while True:
            classifier.classify(pixels)
            batches += 1
            if (elapsed_s := time.perf_counter() - started_s) >= seconds:
                return batches, elapsed_s

    with ThreadPoolExecutor(classifier.streams, thread_name_prefix="birdcli-infer") as pool:
        done = list(pool.map(work, range(classifier.streams)))
    cpu_s = time.process_time() - started_cpu_s
    wall_s = time.perf_counter() - started_s
    return Work(
        images=sum(batches for batches, _ in done) * len(pixels),
        images_per_s=sum(batches * len(pixels) / elapsed_s for batches, elapsed_s in done),
        cpu_s=cpu_s,
        busy=min(1.0, cpu_s / wall_s / cpus),
    )
