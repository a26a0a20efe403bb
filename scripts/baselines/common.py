"""What all baselines need and none is measured for: labels in, records out."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def read_labels(path: str) -> dict[int, str]:
    """Returns the names of a label map by class id."""
    with Path(path).open(newline="") as file:
        return {int(row["id"]): row["name"] for row in csv.DictReader(file)}


def read_list(path: str) -> list[str]:
    """Returns the lines of a list."""
    return Path(path).read_text().splitlines()


def write_best(sources: Sequence[str], scores: Any, labels: dict[int, str]) -> None:
    """Writes the best three species of each image as a JSON line.

    Args:
        sources: N paths or URLs.
        scores: float32 [N, C].
        labels: Names by class id.
    """
    import tensorflow as tf

    top = tf.math.top_k(scores, k=3)
    for source, values, ids in zip(sources, top.values.numpy(), top.indices.numpy(), strict=True):
        best = [
            {"label": labels[int(class_id)], "score": float(score)}
            for class_id, score in zip(ids, values, strict=True)
        ]
        sys.stdout.write(json.dumps({"input": source, "predictions": best}) + "\n")


def scores_of(outputs: dict[str, Any]) -> Any:
    """Returns the scores among the outputs of a signature, float32 [N, C]."""
    return outputs.get("default", next(iter(outputs.values())))
