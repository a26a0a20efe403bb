"""The real command, but with pictures decoded in threads of its own process.

python -m scripts.reliability_proof.in_threads classify …
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.__main__ import main
from birdcli.cli import run
from birdcli.decode import PillowDecoder

if TYPE_CHECKING:
    from birdcli.settings import DecodeSettings


def _open_decoder(settings: DecodeSettings, *_: object, **__: object) -> PillowDecoder:
    return PillowDecoder(settings)


if __name__ == "__main__":
    vars(run)["open_decoder"] = _open_decoder
    main()
