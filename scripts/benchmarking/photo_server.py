"""Photos over HTTP on the loopback, from memory, by a process of its own.

    python -m scripts.benchmarking.photo_server FOLDER [--latency-ms N]

Prints its address, then serves until its standard input closes, then prints how many responses it
gave and what they cost it as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from scripts.benchmarking.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BACKLOG = 1024


@dataclass(slots=True, kw_only=True)
class Served:
    """What a server did, known once it has ended.

    Attributes:
        address: Where it is, without a slash at the end.
        responses: How many it gave.
        cpu_s: User and system time for all of them.
    """

    address: str
    responses: int = 0
    cpu_s: float = 0.0

    def url(self, photo: Path) -> str:
        """Returns where a photo is."""
        return f"{self.address}/{photo.name}"


@contextmanager
def serving(folder: Path, *, latency_ms: int = 0) -> Iterator[Served]:
    """Serves the JPEGs of a folder for as long as the context lasts.

    Args:
        folder: Where the photos are; all of them are held in memory.
        latency_ms: How long each response waits before its first byte.
    """
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "scripts.benchmarking.photo_server", str(folder)),
            *("--latency-ms", str(latency_ms)),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        served = Served(address=process.stdout.readline().strip())
        if not served.address:
            raise OSError(f"the photo server ended with {process.wait()}")
        try:
            yield served
        finally:
            process.stdin.close()
            closing = json.loads(process.stdout.readline())
            served.responses, served.cpu_s = closing["responses"], closing["cpu_s"]


async def _serve(photos: Mapping[str, bytes], latency_s: float) -> None:
    responses = 0

    async def handle(request: web.BaseRequest) -> web.Response:
        nonlocal responses
        responses += 1
        if latency_s:
            await asyncio.sleep(latency_s)
        body = photos.get(request.path)
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, content_type="image/jpeg")

    # Without an application: a router and its middlewares would cost cores that clients need.
    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=_BACKLOG).start()
    started_s = time.process_time()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    cpu_s = time.process_time() - started_s
    await runner.cleanup()
    print(json.dumps({"responses": responses, "cpu_s": cpu_s}), flush=True)


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=int, default=0)
    options = parser.parse_args()
    photos = {f"/{path.name}": path.read_bytes() for path in sorted(options.folder.glob("*.jpg"))}
    asyncio.run(_serve(photos, options.latency_ms / 1000))


if __name__ == "__main__":
    main()
