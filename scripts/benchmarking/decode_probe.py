"""What decoding alone costs, all cores busy; prints JSON.

    python -m scripts.benchmarking.decode_probe LIST SIZE PREPROCESSING [--way ours|full|entropy]

`ours` is birdcli's own; `full` decodes every pixel and resizes; `entropy` does no more than the
entropy coding of a JPEG demands of anybody: an eighth of the size, not resized.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from birdcli.decode import decode_image
from birdcli.host import usable_cpus
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable


def decoder(way: str, size: int, preprocessing: str) -> Callable[[bytes], object]:
    """Returns a function that decodes one encoded file."""
    if way == "ours":
        settings = DecodeSettings(height=size, width=size, preprocessing=preprocessing)
        return lambda data: decode_image(data, settings)

    def full(data: bytes) -> object:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.convert("RGB").resize((size, size)).tobytes()

    def entropy(data: bytes) -> object:
        with Image.open(io.BytesIO(data)) as picture:
            picture.draft(None, (picture.width // 8, picture.height // 8))
            return picture.load()

    return full if way == "full" else entropy


def decode_all(
    files: list[bytes], decode: Callable[[bytes], object], threads: int, seconds: float
) -> float:
    """Returns the core-seconds that an image takes while `threads` threads decode.

    Whole sets, as many as it takes to reach `seconds`: photos differ by a factor of fifty.
    """
    numbers = itertools.count()
    done = [0] * threads
    started_s = time.perf_counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        while True:
            with lock:
                at = next(numbers)
            if at and at % len(files) == 0 and time.perf_counter() - started_s > seconds:
                stop.set()
            if stop.is_set():
                return
            decode(files[at % len(files)])
            done[number] += 1

    stop = threading.Event()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - started_s) * threads / sum(done)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", type=Path)
    parser.add_argument("size", type=int)
    parser.add_argument("preprocessing")
    parser.add_argument("--way", choices=("ours", "full", "entropy"), default="ours")
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    files = [Path(line).read_bytes() for line in options.list.read_text().splitlines()]
    decode = decoder(options.way, options.size, options.preprocessing)
    decode(files[0])
    cores = usable_cpus()
    core_s = decode_all(files, decode, cores, options.seconds)
    print(json.dumps({"core_ms": core_s * 1000}))


if __name__ == "__main__":
    main()
