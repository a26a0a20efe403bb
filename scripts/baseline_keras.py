"""The baseline of BENCHMARK.md: what a competent `tf.data` + `hub.KerasLayer` program does.

    python scripts/baseline_keras.py MODULE_FOLDER LABELS_CSV PHOTO_FOLDER > out.jsonl

Full-size decoding and resizing in the input pipeline, parallel and prefetched, batches of 32, the
best three species of each photo as JSON lines.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

SIZE = 224
BATCH = 32


def main(module: str, label_map: str, photos: str) -> int:
    """Classifies every JPEG of a folder; returns the exit code."""
    import tensorflow as tf
    import tensorflow_hub as hub

    with Path(label_map).open(newline="") as file:
        labels = {int(row["id"]): row["name"] for row in csv.DictReader(file)}
    paths = [str(path) for path in sorted(Path(photos).glob("*.jpg"))]

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (SIZE, SIZE)) / 255.0

    layer = hub.KerasLayer(module, signature="default", output_key="default")
    dataset = (
        tf.data.Dataset.from_tensor_slices(paths)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )
    started_s = time.perf_counter()
    position = 0
    for batch in dataset:
        top = tf.math.top_k(layer(batch), k=3)
        for scores, ids in zip(top.values.numpy(), top.indices.numpy(), strict=True):
            record = {
                "input": paths[position],
                "predictions": [
                    {"label": labels[int(class_id)], "score": float(score)}
                    for class_id, score in zip(ids, scores, strict=True)
                ],
            }
            sys.stdout.write(json.dumps(record) + "\n")
            position += 1
    seconds = time.perf_counter() - started_s
    sys.stderr.write(f"{position} photos, {position / seconds:.1f} images/s after start\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
