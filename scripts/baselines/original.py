"""The loop that the task starts from: one image after the other, the model loaded for each.

    python -m scripts.baselines.original MODULE_FOLDER SIGNATURE SIZE LABELS_CSV LIST > out.jsonl

The list holds URLs. Model and labels come from the disk, not from the hub: only computing counts.
"""

from __future__ import annotations

import io
import sys
import urllib.request

from scripts.baselines.common import read_labels, read_list, scores_of, write_best


def main(module: str, signature: str, size: str, label_map: str, images: str) -> int:
    """Classifies every URL of a list; returns the exit code."""
    import numpy as np
    import tensorflow as tf
    import tensorflow_hub as hub
    from PIL import Image

    for url in read_list(images):
        model = hub.KerasLayer(module, signature=signature, signature_outputs_as_dict=True)
        labels = read_labels(label_map)
        with urllib.request.urlopen(url) as response:
            data = response.read()
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((int(size), int(size)))
        image = np.asarray(picture, dtype=np.float32) / 255.0
        outputs = model(tf.convert_to_tensor(image[np.newaxis]))
        write_best([url], scores_of(outputs), labels)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
