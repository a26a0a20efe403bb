"""What a thread pool + `hub.KerasLayer` program does.

    python -m scripts.baselines.threads MODULE_FOLDER SIGNATURE SIZE LABELS_CSV LIST > out.jsonl

Pillow decodes and resizes in threads, a few batches ahead; batches of 32 run in the main thread.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scripts.baselines.common import read_labels, read_list, scores_of, write_best

BATCH = 32
AHEAD = 4


def main(module: str, signature: str, size: str, label_map: str, images: str) -> int:
    """Classifies every image of a list of paths; returns the exit code."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_hub as hub
    from PIL import Image

    labels = read_labels(label_map)
    paths = read_list(images)

    def load(path: str) -> Any:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB").resize((int(size), int(size))), np.float32)

    layer = hub.KerasLayer(module, signature=signature, signature_outputs_as_dict=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
        loading: deque[list[Any]] = deque()
        for at, batch in enumerate(batches):
            while len(loading) < AHEAD and at + len(loading) < len(batches):
                loading.append([pool.submit(load, path) for path in batches[at + len(loading)]])
            pixels = np.stack([future.result() for future in loading.popleft()]) / 255.0
            write_best(batch, scores_of(layer(tf.constant(pixels))), labels)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
