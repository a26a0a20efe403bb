"""What decoding takes, measured, against what is reckoned with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (2500, 2000)
SLACK_BYTES = 6_000_000

# Runs alone, so that nothing else counts; the first picture pays for the imports.
PROBE = """
import json, re, sys
from pathlib import Path
from birdcli.decode import decode_image
from birdcli.settings import DecodeSettings
def held(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
found = {}
for path in sys.argv[1:]:
    data = Path(path).read_bytes()
    reckoned = []
    decode_image(data, DecodeSettings())
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    decode_image(data, DecodeSettings(), admit=lambda pixels, size: reckoned.append(size))
    found[Path(path).name] = (max(reckoned), held("VmHWM") - before)
print(json.dumps(found))
"""


def _save(name: str, picture: Image.Image, **options: object) -> Callable[[Path], None]:
    return lambda folder: picture.save(folder / name, **options)  # type: ignore[arg-type]


def pictures() -> list[Callable[[Path], None]]:
    """One of each way in which pixels take memory."""
    grey = Image.new("L", SIZE, 100)
    colour = Image.new("RGB", SIZE, (1, 2, 3))
    clear = Image.new("RGBA", SIZE, (1, 2, 3, 100))
    palette = Image.new("P", SIZE, 3)
    palette.putpalette(list(range(256)) * 3)
    deep = Image.fromarray(np.full(SIZE[::-1], 1000, np.uint16))
    return [
        _save("l.png", grey),
        _save("rgb.png", colour),
        _save("rgba.png", clear),
        _save("la.png", clear.convert("LA")),
        _save("p.png", palette),
        _save("p_clear.png", palette, transparency=bytes(range(256))),
        _save("i16.png", deep),
        _save("rgb.jpg", colour),
        _save("progressive.jpg", colour, progressive=True, subsampling=0),
        _save("cmyk.jpg", colour.convert("CMYK"), progressive=True),
        _save("rgb.webp", colour, lossless=True, method=0),
        _save("rgba.webp", clear, lossless=True, method=0),
        _save("l.jp2", grey),
        _save("rgb.jp2", colour),
        _save("rgba.jp2", clear),
        _save("cmyk.tif", colour.convert("CMYK"), compression="tiff_lzw"),
        _save("f.tif", Image.new("F", SIZE, 0.5), compression="tiff_lzw"),
        _save("rgb.avif", colour, speed=10),
        _save("rgba.avif", clear, speed=10),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a moment")
def test_no_picture_takes_more_than_is_reckoned_with(tmp_path: Path) -> None:
    for save in pictures():
        save(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *sorted(map(str, tmp_path.iterdir()))],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"},  # what is freed is gone
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)
    too_much = {
        name: (reckoned, taken)
        for name, (reckoned, taken) in found.items()
        if taken > reckoned + SLACK_BYTES
    }
    assert too_much == {}
    assert found["rgb.png"][1] > SIZE[0] * SIZE[1] * 3  # it does measure
