"""Paints the birds in `examples/`: `python scripts/draw_examples.py [FOLDER]`.

They are drawings, made from each bird's field marks; the same seeds give the same pictures.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # run by its path, a script sees its own folder alone

from scripts.drawing import black_swan, flamingo, king_penguin, peacock, toucan  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

EXAMPLES: Final = REPOSITORY / "examples"
QUALITY: Final = 86
PAINTERS: Final[dict[str, Callable[[], Image.Image]]] = {
    "black_swan": black_swan.draw,
    "flamingo": flamingo.draw,
    "king_penguin": king_penguin.draw,
    "peacock": peacock.draw,
    "toucan": toucan.draw,
}
"""File names, which are the English names of the birds, and who paints them."""


def encoded(picture: Image.Image) -> bytes:
    """Returns a picture as the JPEG file that ships."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def main() -> None:
    """Paints every bird into a folder."""
    parser = argparse.ArgumentParser(description="Paints the birds in examples/.")
    parser.add_argument("folder", nargs="?", type=Path, default=EXAMPLES)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PAINTERS.items():
        path = folder / f"{name}.jpg"
        path.write_bytes(encoded(draw()))
        print(path)


if __name__ == "__main__":
    main()
