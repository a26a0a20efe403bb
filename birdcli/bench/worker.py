"""A process of its own that measures one engine: two of them would share threads and memory."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from birdcli.errors import BirdError, ErrorCode, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from birdcli.bench.rounds import Work
    from birdcli.metrics import ColdStart
    from birdcli.models.variants import Variant

_FAREWELL_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A variant that is ready.

    Attributes:
        start: Where the time went.
        streams: Batches at once.
        prepared: Whether graphs had to be made, which is no part of a usual start.
        notes: What people should know.
    """

    start: ColdStart
    streams: int
    prepared: bool
    notes: tuple[str, ...]


class EngineBench(Protocol):
    """What is measured with one engine; a worker has one, and forwards to it."""

    def load(self, variant: Variant) -> Loaded:
        """Loads a variant and holds it against its golden outputs.

        Raises:
            ModelError: It cannot be loaded or does not reproduce them.
        """
        ...

    def infer(self, variant: Variant, batch_size: int, seconds: float) -> Work:
        """Measures inference alone."""
        ...

    def classify(self, variant: Variant, batch_size: int, images: int) -> Work:
        """Measures files to answers."""
        ...


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An error of ours on its way to another process: exceptions do not travel well."""

    kind: type[BirdError]
    code: ErrorCode
    message: str
    hint: str

    def error(self) -> BirdError:
        return self.kind(self.code, self.message, hint=self.hint)


@dataclass(frozen=True, slots=True)
class _Bug:
    """A traceback on its way to another process."""

    text: str


class WorkerDiedError(ModelError):
    """The process ended: killed by the system for its memory, or by a library."""


class WorkerProcess:
    """An `EngineBench` in another process; close it, or use `with`."""

    def __init__(self, make: Callable[..., EngineBench], *arguments: object) -> None:
        """Starts the process, which calls `make(*arguments)`: both must be picklable."""
        context = multiprocessing.get_context("spawn")  # libraries do not survive a fork
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments), name="birdcli-bench", daemon=True
        )
        self._process.start()
        theirs.close()

    def load(self, variant: Variant) -> Loaded:
        """See `EngineBench`."""
        loaded: Loaded = self._call("load", variant)
        return loaded

    def infer(self, variant: Variant, batch_size: int, seconds: float) -> Work:
        """See `EngineBench`."""
        work: Work = self._call("infer", variant, batch_size, seconds)
        return work

    def classify(self, variant: Variant, batch_size: int, images: int) -> Work:
        """See `EngineBench`."""
        work: Work = self._call("classify", variant, batch_size, images)
        return work

    def close(self) -> None:
        """Ends the process, which finishes what it is at."""
        self._connection.close()
        self._process.join(timeout=_FAREWELL_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Closes it; after an error at once."""
        if kind is not None:
            self._process.terminate()
        self.close()

    def _call(self, name: str, *arguments: object) -> Any:
        try:
            self._connection.send((name, arguments))
            answer = self._connection.recv()
        except (EOFError, OSError) as err:
            self._process.join(timeout=5.0)
            raise WorkerDiedError(
                ErrorCode.MODEL_LOAD_FAILED,
                f"the process that runs the engine ended with code {self._process.exitcode}",
                hint="Was there enough memory?",
            ) from err
        if isinstance(answer, _Refusal):
            raise answer.error()
        if isinstance(answer, _Bug):
            raise RuntimeError(answer.text)
        return answer


def _serve(
    connection: Connection, make: Callable[..., EngineBench], arguments: tuple[object, ...]
) -> None:
    """Answers until the other side closes; an interrupt is for the other side to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bench: EngineBench | None = None
    while True:
        try:
            name, values = connection.recv()
        except EOFError:
            return
        try:
            bench = bench or make(*arguments)
            answer: object = getattr(bench, name)(*values)
        except BirdError as err:
            answer = _Refusal(type(err), err.code, err.message, err.hint)
        except Exception:  # noqa: BLE001 - a bug is shown by the process that people look at
            answer = _Bug(traceback.format_exc())
        try:
            connection.send(answer)
        except OSError:
            return
