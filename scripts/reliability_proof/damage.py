"""Damaged outputs and damaged pictures: what comes of each."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Final

from birdcli.errors import ErrorCode
from birdcli.isolated_decode import DecodePool
from birdcli.items import ErrorInfo, Failed, ImageRef, SourceKind, Stage, Timings
from birdcli.output.repair import read_and_repair
from birdcli.record import encode_record, record_of
from birdcli.settings import DecodeSettings
from scripts.fuzz_images import decode_all, mutants
from scripts.fuzz_outputs import LAST_BYTES, Fault, cut_everywhere, fuzz
from scripts.proof_report import Part

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.fuzz_outputs import Finding

_OUR_RUN: Final = b'"run":"01J"'
_RECORDS: Final = 250  # more than are in the last 65,536 bytes
_FEW: Final = 4  # so that damage meets every part of them


def prove_cuts(folder: Path, *, step: int, seed: int) -> Part:
    """Cuts an output off at each of its last bytes, and repairs it."""
    whole = _records(_RECORDS, seed)
    findings = cut_everywhere(_repair, whole, folder, step=step)
    cuts = len(range(max(len(whole) - LAST_BYTES, 0), len(whole) + 1, step))
    return Part(
        title="Outputs cut off",
        lines=(
            f"An output of {len(whole):,} bytes was cut at {cuts:,} of its last {LAST_BYTES:,} "
            f"bytes and repaired: **{len(findings)} faults.**",
        ),
        problems=tuple(f"{finding.fault}: {finding.case}" for finding in findings),
    )


def prove_repairs(folder: Path, *, count: int, seed: int) -> Part:
    """Damages outputs at random, and repairs them."""
    seeds = range(seed, seed + count)
    findings = fuzz(_repair, _records(_FEW, seed), folder, seeds=seeds)
    worst = [finding for finding in findings if not _is_a_detail(finding)]
    return Part(
        title="Outputs damaged",
        lines=(
            f"{count:,} outputs with bits flipped, blocks lost, zeroed, doubled, and lines put in "
            f"were repaired: **{len(worst)} records lost or files of others changed**; "
            f"in {len(findings) - len(worst)} a line was kept that is a record but for a detail of "
            "the schema, such as a misspelled timing.",
        ),
        problems=tuple(f"{finding.fault}: {finding.case}" for finding in worst),
    )


def _is_a_detail(finding: Finding) -> bool:
    """Whether a line was kept that the whole schema, not only what resuming needs, would refuse.

    If it is the only one left, the judge takes the file for somebody else's.
    """
    return finding.fault is Fault.KEPT or (
        finding.fault is Fault.DESTROYED and _OUR_RUN in finding.damaged
    )


def prove_images(*, count: int, seed: int) -> Part:
    """Decodes pictures of every format that were damaged at random."""
    pool = DecodePool(DecodeSettings(), workers=2)
    try:
        found = decode_all(pool, mutants(seed, count), threads=4)
    finally:
        pool.close()
    total = found.outcomes.total()
    crashed = found.outcomes[ErrorCode.DECODE_WORKER_CRASHED]
    slow = found.outcomes[ErrorCode.DECODE_TIMEOUT]
    told = ", ".join(f"{name} {number:,}" for name, number in found.outcomes.most_common())
    return Part(
        title="Pictures damaged",
        lines=(
            f"{count:,} pictures of every format with bits flipped, cut, spliced: **{total:,} "
            f"outcomes**, {crashed} processes lost, {slow} given up at their deadline; the slowest "
            f"took {found.slowest_s:.2f} s. Outcomes: {told}.",
        ),
        problems=() if total == count else (f"{total} outcomes for {count} pictures",),
    )


def _repair(path: Path) -> None:
    locks: list[int] = []
    try:
        read_and_repair(path, lambda head: None, locks=locks)
    finally:
        for lock in locks:
            os.close(lock)


def _records(count: int, seed: int) -> bytes:
    rng = random.Random(seed)
    return b"".join(encode_record(record_of(_outcome(rng, index), "01J")) for index in range(count))


def _outcome(rng: random.Random, index: int) -> Failed:
    source = f"https://h.example/{rng.randbytes(rng.randint(1, 40)).hex()}.jpg"
    error = ErrorInfo(code=ErrorCode.FETCH_TIMEOUT, message="No whole answer", retryable=True)
    return Failed(
        ref=ImageRef(index=index, source=source, kind=SourceKind.URL),
        error=error,
        timings=Timings(0.0).mark(Stage.QUEUE, rng.random()).mark(Stage.FETCH, 2.0),
    )
