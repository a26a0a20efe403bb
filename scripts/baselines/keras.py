"""What a competent `tf.data` + `hub.KerasLayer` program does.

    python -m scripts.baselines.keras MODULE_FOLDER SIGNATURE SIZE LABELS_CSV LIST > out.jsonl

Full-size decoding and resizing in the input pipeline, parallel and prefetched, batches of 32.
"""

from __future__ import annotations

import sys
from typing import Any

from scripts.baselines.common import read_labels, read_list, scores_of, write_best

BATCH = 32


def main(module: str, signature: str, size: str, label_map: str, images: str) -> int:
    """Classifies every JPEG of a list of paths; returns the exit code."""
    import tensorflow as tf
    import tensorflow_hub as hub

    labels = read_labels(label_map)
    paths = read_list(images)

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (int(size), int(size))) / 255.0

    layer = hub.KerasLayer(module, signature=signature, signature_outputs_as_dict=True)
    dataset = (
        tf.data.Dataset.from_tensor_slices(paths)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )
    done = 0
    for batch in dataset:
        scores = scores_of(layer(batch))
        write_best(paths[done : done + len(scores)], scores, labels)
        done += len(scores)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
