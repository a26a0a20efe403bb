"""URLs without a network: their bytes from the cache, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode, FetchError
from birdcli.items import FetchedImage, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from birdcli.download_slot import DownloadSlot
    from birdcli.items import ImageRef, Timings, Validators


class OfflineFetcher:
    """Says of every URL whose bytes are kept that it is unchanged; implements `Fetcher`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Marks timings with a clock of seconds."""
        self._clock = clock

    async def fetch(
        self,
        ref: ImageRef,
        timings: Timings,
        *,
        known: Validators | None = None,
        slot: DownloadSlot | None = None,
    ) -> FetchedImage:
        """Returns the known bytes' digest, without asking anybody; see `Fetcher`.

        Raises:
            FetchError: ``fetch.not_cached`` if nothing is known.
        """
        if known is None:
            raise FetchError(
                ErrorCode.FETCH_NOT_CACHED,
                "What an earlier run has kept of this URL is gone or damaged",
                hint="Leave out --offline to download it.",
                attempts=0,
            )
        timings = timings.mark(Stage.QUEUE, self._clock()).mark(Stage.FETCH, self._clock())
        return FetchedImage(ref=ref, data=b"", sha256=known.sha256, timings=timings, unchanged=True)
