"""A model hub on this machine that answers as tfhub.dev, Kaggle and their storage do together.

The front and the storage are `127.0.0.1`, the Kaggle part is `localhost`: two hosts, as far as
credentials are concerned. It runs in a thread, for synchronous tests and for subprocesses.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

HUB_PATH = "/google/aiy/vision/classifier/birds_V1/1"
KAGGLE_PATH = "/api/v1/models/google/aiy/tensorFlow1/vision-classifier-birds-v1/1/download"
STORAGE_PATH = "/storage/archive.tar.gz"
SIGNATURE = "5ignature%2B0f%7Estorage"


class Answer(Enum):
    """What the storage does with one request for the archive."""

    ARCHIVE = auto()
    """The bytes, with their length."""
    CHUNKED = auto()
    """The bytes, without a length."""
    CUT = auto()
    """Half the bytes that the header promises."""
    STALL = auto()
    """Half the bytes, then silence."""
    WHOLE = auto()
    """All bytes, whatever range was asked for."""
    CURRENT = auto()
    """The range of what there is now, whatever `If-Range` says."""
    EARLIER = auto()
    """A range that starts a byte before the one that was asked for."""
    SHORT = auto()
    """The range without its last byte."""
    LONG = auto()
    """The range, with a byte more than the header promises."""
    LACKING = auto()
    """The range, with a byte less than the header promises, ended as if it were whole."""
    ANONYMOUS = auto()
    """The range, without a validator."""
    CODED = auto()
    """The range, said to be gzip-coded."""
    NO_RANGE = auto()
    """416, if a range is asked for."""
    EMPTY = auto()
    HTML = auto()
    """A login page, with status 200."""
    LOOP = auto()
    """A redirect to itself."""
    MOVED = auto()
    """A redirect to `moved_to`."""
    NOT_FOUND = auto()
    SERVER_ERROR = auto()
    RATE_LIMITED = auto()
    """429 that asks to wait 7 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One line of the request log."""

    host: str
    path: str
    target: str
    """The request target as it was sent, query included."""
    headers: Mapping[str, str]


class HubServer:
    """The hub; use as a context manager.

    Attributes:
        requests: Every request so far, in order.
        archive: What the storage holds.
        validators: Headers by which a changed archive can be told; with them the storage answers
            with ranges.
        script: What the storage does next, request by request; the last one stays.
        moved_to: Where `Answer.MOVED` leads.
    """

    def __init__(
        self,
        archive: bytes,
        *,
        script: Sequence[Answer] = (Answer.ARCHIVE,),
        token: tuple[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        etag: str | None = None,
    ) -> None:
        """Prepares the hub.

        Args:
            archive: What the storage holds.
            script: What the storage does, request by request; the last one stays.
            token: User name and key that the Kaggle part demands (403 without), or None.
            files: Other files by path, such as a label map.
            etag: Validator of the archive, or None.
        """
        self.requests: list[SeenRequest] = []
        self.archive = archive
        self.validators = {} if etag is None else {"ETag": etag}
        self.moved_to = ""
        self.script = list(script)
        self._token = token
        self._files = dict(files or {})
        self._ports: list[int] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)

    @property
    def base(self) -> str:
        """The front, without a slash at the end."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def url(self) -> str:
        """The module's handle as users know it, for the hub's compressed form."""
        return f"{self.base}{HUB_PATH}?tf-hub-format=compressed"

    @property
    def kaggle_url(self) -> str:
        """The download address on the other host."""
        return f"http://localhost:{self._ports[1]}{KAGGLE_PATH}"

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [seen.path for seen in self.requests]

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that the storage was asked for, in order."""
        return [seen.headers.get("Range") for seen in self.requests if seen.path == STORAGE_PATH]

    def __enter__(self) -> HubServer:
        self._thread.start()
        assert self._ready.wait(10), "the hub did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the hub did not stop"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        runner = web.ServerRunner(
            web.Server(
                self._answer, handler_cancellation=True, access_log=None, max_line_size=65_536
            ),
            shutdown_timeout=0.1,
        )
        await runner.setup()
        for _ in range(2):
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._ports.append(int(site.name.rpartition(":")[2]))
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(
            SeenRequest(
                host=request.host,
                path=request.path,
                target=request.raw_path,
                headers=dict(request.headers),
            )
        )
        on_kaggle = request.host.startswith("localhost:")
        if request.path in self._files:
            return web.Response(body=self._files[request.path])
        if request.path == HUB_PATH and request.query.get("tf-hub-format") == "compressed":
            return web.Response(status=302, headers={"Location": self.kaggle_url})
        if request.path == KAGGLE_PATH and on_kaggle:
            return self._answer_as_kaggle(request)
        if request.path == STORAGE_PATH and not on_kaggle:
            return await self._answer_as_storage(request)
        return web.Response(status=404)

    def _answer_as_kaggle(self, request: web.BaseRequest) -> web.Response:
        if self._token is not None:
            secret = base64.b64encode(":".join(self._token).encode()).decode()
            if request.headers.get("Authorization") != f"Basic {secret}":
                body = json.dumps({"code": 403, "message": "Permission denied"})
                return web.Response(status=403, text=body, content_type="application/json")
        signed = f"{self.base}{STORAGE_PATH}?X-Goog-Expires=3600&X-Goog-Signature={SIGNATURE}"
        return web.Response(status=302, headers={"Location": signed})

    async def _answer_as_storage(self, request: web.BaseRequest) -> web.StreamResponse:
        signed = request.raw_path.endswith(f"X-Goog-Signature={SIGNATURE}")
        if not signed or "Authorization" in request.headers:
            return web.Response(
                status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>"
            )
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        match answer:
            case Answer.CHUNKED:
                return await self._stream(request, self.validators, self.archive)
            case Answer.EMPTY:
                return web.Response(body=b"", content_type="application/x-gzip")
            case Answer.HTML:
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case Answer.LOOP:
                return web.Response(status=307, headers={"Location": request.raw_path})
            case Answer.MOVED:
                return web.Response(status=302, headers={"Location": self.moved_to})
            case Answer.NOT_FOUND:
                return web.Response(status=404)
            case Answer.SERVER_ERROR:
                return web.Response(status=500)
            case Answer.RATE_LIMITED:
                return web.Response(status=429, headers={"Retry-After": "7"})
        return await self._answer_with_bytes(request, answer)

    async def _answer_with_bytes(
        self, request: web.BaseRequest, answer: Answer
    ) -> web.StreamResponse:
        start = self._range_start(request, answer)
        headers = dict(self.validators)
        if start is not None and (answer is Answer.NO_RANGE or start >= len(self.archive)):
            return web.Response(
                status=416, headers={"Content-Range": f"bytes */{len(self.archive)}"}
            )
        if answer is Answer.EARLIER and start is not None:
            start -= 1
        body = self.archive[start:]
        if answer is Answer.SHORT:
            body = body[:-1]
        if start is not None:
            last = start + len(body) - 1
            headers["Content-Range"] = f"bytes {start}-{last}/{len(self.archive)}"
            if answer is Answer.ANONYMOUS:
                headers.pop("ETag")
            if answer is Answer.CODED:
                headers["Content-Encoding"] = "gzip"
        status = 200 if start is None else 206
        if answer in {Answer.LONG, Answer.LACKING}:
            body = body + b"x" if answer is Answer.LONG else body[:-1]
            return await self._stream(request, headers, body, status)
        headers["Content-Length"] = str(len(body))
        if answer not in {Answer.CUT, Answer.STALL}:
            return await self._stream(request, headers, body, status)
        response = await self._stream(request, headers, body[: len(body) // 2], status)
        if answer is Answer.STALL:
            await self._stop.wait()
        if request.transport is not None:
            request.transport.close()
        return response

    def _range_start(self, request: web.BaseRequest, answer: Answer) -> int | None:
        """Where the answer is to start; None for the whole archive."""
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if asked is None or not self.validators or answer is Answer.WHOLE:
            return None
        same = request.headers.get("If-Range") in self.validators.values()
        return int(asked[1]) if same or answer is Answer.CURRENT else None

    async def _stream(
        self, request: web.BaseRequest, headers: Mapping[str, str], body: bytes, status: int = 200
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        await response.write(body)
        return response
