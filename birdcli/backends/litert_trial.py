"""The program that runs a TFLite file once and may die of it; see `litert.try_in_child`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from birdcli.backends.litert import load_tflite
from birdcli.errors import BirdError
from birdcli.model_version import InputSpec, InputType, Layout, OutputKind, Scale


def main(arguments: list[str]) -> int:
    """Runs `PATH HEIGHT WIDTH DTYPE LAYOUT`; returns the exit code."""
    path, height, width, dtype, layout = arguments
    spec = InputSpec(
        height=int(height),
        width=int(width),
        dtype=InputType(dtype),
        layout=Layout(layout),
        scale=Scale.NONE,
    )
    data = Path(path).read_bytes()
    picture = np.random.RandomState(1).randint(0, 256, (1, spec.height, spec.width, 3))
    try:
        for reference in (False, True):
            model = load_tflite(
                data, model="it", spec=spec, output=OutputKind.PROBABILITIES,
                threads=1, reference=reference,
            )  # fmt: skip
            model.classify(picture.astype(np.uint8))
    except BirdError as err:
        sys.stderr.write(f"{err.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
