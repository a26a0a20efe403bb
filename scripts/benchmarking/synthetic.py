"""Photos of one size, drawn: the same bytes for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.make_photos import GENERATED, Photo, render_photo

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.make_photos import Size


def draw_photos(folder: Path, size: Size, count: int, *, seed: int) -> list[Path]:
    """Draws photos unless they are there, and returns their paths.

    Args:
        folder: Where; of these photos alone.
        size: Width and height, pixels.
        count: How many.
        seed: What their bytes follow from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = folder / f"{seed}-{size[0]}x{size[1]}-{number}.jpg"
        if not path.exists():
            photo = Photo(
                file=path.name, size=size, source=GENERATED, seed=f"{seed} {size} {number}"
            )
            path.write_bytes(render_photo(photo, folder))
        paths.append(path)
    return paths
