"""Runs into a file of records, without a pipeline: what classify does with its output."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING

from birdcli.errors import ErrorCode
from birdcli.items import (
    CacheState,
    Classified,
    ErrorInfo,
    Failed,
    ImageInfo,
    ImageRef,
    Outcome,
    Prediction,
    SourceKind,
    Stage,
    Timings,
)
from birdcli.output.destination import File, find_destination
from birdcli.output.keys import input_digest, key_of_input, key_of_record
from birdcli.output.lines import head_of, iter_lines
from birdcli.output.session import Earlier, open_session
from birdcli.settings import Retry
from birdcli.writer import JsonLinesWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SETTINGS: dict[str, str | int | float | bool | None] = {"model": "fake@1", "top_k": 3}
_RUNS = count()


def answered(ref: ImageRef) -> Outcome:
    return Classified(
        ref=ref,
        image=ImageInfo(sha256="0" * 64, bytes=1, width=1, height=1, format="PNG"),
        predictions=(Prediction(class_id=0, label="bird", common_name=None, score=0.5),),
        model="fake@1",
        backend="fake/float32",
        cache=CacheState.OFF,
        batch_size=1,
        timings=Timings(0.0).mark(Stage.QUEUE, 0.1).mark(Stage.INFERENCE, 0.2),
    )


def refused(ref: ImageRef, *, retryable: bool = True) -> Outcome:
    error = ErrorInfo(code=ErrorCode.FETCH_TIMEOUT, message="slow", retryable=retryable)
    return Failed(ref=ref, error=error, timings=Timings(0.0).mark(Stage.QUEUE, 0.1))


def refs(sources: Sequence[str]) -> list[ImageRef]:
    return [
        ImageRef(index=index, source=source, kind=SourceKind.URL)
        for index, source in enumerate(sources)
    ]


def file_at(path: Path) -> File:
    """What an output of that name leads to, which has to be a file."""
    destination = find_destination(path)
    assert isinstance(destination, File)
    return destination


def run_into(
    path: Path,
    inputs: Sequence[ImageRef],
    *,
    resume: bool = True,
    fresh: bool = False,
    retry: Retry = Retry.NONE,
    stop_after: int | None = None,
    outcome: Callable[[ImageRef], Outcome] = answered,
    settings: dict[str, str | int | float | bool | None] | None = None,
    finish: bool = True,
) -> Earlier:
    """Does the unfinished inputs, or so many of them; without `finish` as if it were killed."""
    session = open_session(
        file_at(path),
        SETTINGS if settings is None else settings,
        resume=resume,
        fresh=fresh,
        retry=retry,
    )
    salt = session.fingerprint.salt
    writer = JsonLinesWriter(
        session.target, run=f"run-{next(_RUNS)}", digest=lambda source: input_digest(source, salt)
    )
    try:
        for done, ref in enumerate(session.unfinished(iter(inputs))):
            if done == stop_after:
                break
            assert isinstance(ref, ImageRef)
            writer.write([writer.encode(outcome(ref))])
    finally:
        writer.close()
        if finish:
            session.finish()
        else:
            session.release()
    return session.earlier


def keys_in(path: Path) -> Counter[bytes]:
    """How often each input has a record; fails on a line that is none."""
    counts: Counter[bytes] = Counter()
    with path.open("rb") as file:
        for line in iter_lines(file):
            head = head_of(line)
            assert head is not None, line
            counts[key_of_record(head)] += 1
    return counts


def keys_of(inputs: Sequence[ImageRef], salt: bytes) -> Counter[bytes]:
    """How often each input is wanted."""
    return Counter(key_of_input(ref, salt) for ref in inputs)
