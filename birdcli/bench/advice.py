"""What bounds a host, and what would move it, from what was measured there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from birdcli.bench.report import Advice, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from birdcli.bench.report import (
        DecodeFacts,
        HostFacts,
        InferenceFacts,
        PhotoFacts,
        StartFacts,
        WholeFacts,
    )
    from birdcli.bench.rounds import Rounds

_BUSY: Final = 0.85
"""Below, the CPUs wait for something, or others use them."""
_LARGE_MEGAPIXELS: Final = 4.0
_SHARE_THAT_COUNTS: Final = 0.25
_CLEARLY: Final = 1.1


def bound_per_s(decode_core_ms: float, inference_core_ms: float, cpus: int) -> float:
    """Returns how many images per second so many CPUs could do with nothing else to do."""
    return cpus * 1e3 / (decode_core_ms + inference_core_ms)


def find_bottleneck(whole: WholeFacts, decode: DecodeFacts, cpus: int) -> str:
    """Names in words what bounds the throughput."""
    parts = {
        "decoding": whole.decode_core_ms,
        "inference": whole.inference_core_ms,
        "reading, hashing and passing images on": whole.other_core_ms,
    }
    total = sum(parts.values())
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    limit = "The CPU is the limit" if cpus == 1 else f"The {cpus} CPUs are the limit"
    if _waits(whole, decode):
        limit = f"The CPUs were {whole.busy:.0%} busy: something else was waited for"
    (first, first_ms), *rest = ordered
    shares = ", ".join(f"{name} {ms / total:.0%}" for name, ms in rest)
    return f"{limit}; {first} takes {first_ms / total:.0%} of the work, {shares}"


def advise(
    *,
    host: HostFacts,
    photos: PhotoFacts,
    decode: DecodeFacts,
    inference: Iterable[InferenceFacts],
    whole: WholeFacts,
    start: Iterable[StartFacts],
    openvino_missing: bool,
    tuned: bool,
) -> tuple[Advice, ...]:
    """Decides what would make this host faster.

    Args:
        host: The machine.
        photos: What was decoded.
        decode: Decoding alone.
        inference: Inference alone.
        whole: What `classify` runs.
        start: Starts.
        openvino_missing: Whether it could run the model, and is not installed.
        tuned: Whether a tuning is in use.
    """
    return tuple(
        Advice(finding=finding, text=text)
        for finding, text in (
            *_about_engines(host, whole, start, openvino_missing=openvino_missing),
            *_about_cpus(host, decode, whole),
            *_about_photos(photos, whole),
            *_about_batches(tuple(inference), whole, tuned=tuned),
        )
    )


def _about_engines(
    host: HostFacts, whole: WholeFacts, start: Iterable[StartFacts], *, openvino_missing: bool
) -> Iterator[tuple[Finding, str]]:
    share = whole.inference_core_ms / whole.core_ms
    if openvino_missing:
        waits = [row.command_s.median for row in start if row.engine == "tensorflow"]
        wait = f"; one photo takes {waits[0]:.1f} s here, most of it TensorFlow's start" * bool(
            waits
        )
        yield (
            Finding.INSTALL_FAST,
            'pip install "birdcli[fast]": OpenVINO starts in a fraction of the time and computes '
            f"as fast or faster{wait}.",
        )
    if not host.bfloat16 and share >= _SHARE_THAT_COUNTS:
        yield (
            Finding.NO_BFLOAT16,
            f"Inference is {share:.0%} of the work. A processor with bfloat16 (AVX512-BF16 or AMX) "
            "needs about 60 % of the time for it.",
        )


def _waits(whole: WholeFacts, decode: DecodeFacts) -> bool:
    """Tells whether CPUs were idle that could be had: decoding alone got them."""
    return whole.busy < _BUSY <= decode.busy


def _about_cpus(
    host: HostFacts, decode: DecodeFacts, whole: WholeFacts
) -> Iterator[tuple[Finding, str]]:
    if host.usable_cpus < host.all_cpus:
        yield (
            Finding.FEWER_CPUS,
            f"This process may use {host.usable_cpus} of the machine's {host.all_cpus} CPUs "
            "(affinity or a container's limit).",
        )
    elif host.cpus < host.usable_cpus:
        yield (
            Finding.FEWER_CPUS,
            f"--threads {host.cpus} leaves {host.usable_cpus - host.cpus} idle.",
        )
    if decode.busy < _BUSY:
        yield (
            Finding.SHARED_CPUS,
            f"Decoding alone got {decode.busy:.0%} of the CPUs: other programs use the rest, or a "
            "limit that is not seen here slows the process down. Measure again when the host is "
            "quiet.",
        )
    elif _waits(whole, decode):
        yield (
            Finding.IDLE_CPUS,
            f"The CPUs were {whole.busy:.0%} busy, and decoding alone keeps them busy: a disk that "
            "answers slowly, or too few photos.",
        )
    else:
        yield (
            Finding.MORE_CPUS,
            f"More CPUs help: an image costs {whole.core_ms:.1f} core-ms, so each core more adds "
            f"up to {whole.images_per_s.median / host.cpus:.0f} images/s. "
            "A list can also be split among machines: --shard.",
        )


def _about_photos(photos: PhotoFacts, whole: WholeFacts) -> Iterator[tuple[Finding, str]]:
    share = whole.decode_core_ms / whole.core_ms
    if photos.mean_megapixels >= _LARGE_MEGAPIXELS and share >= 0.5:
        yield (
            Finding.LARGE_PHOTOS,
            f"The photos are large ({photos.mean_megapixels:.0f} megapixels on average), and "
            f"decoding them is {share:.0%} of the work: copies of 1 megapixel, if there are any, "
            "take a fraction of the time.",
        )
    if photos.read_per_s is not None and photos.read_per_s < whole.images_per_s.median:
        yield (
            Finding.SLOW_DISK,
            f"Reading the photos for the first time gave {photos.read_per_s:.0f} images/s "
            f"({photos.read_mb_s:.0f} MB/s), less than the rest can do: the disk is the limit for "
            "photos that are not in memory.",
        )


def _about_batches(
    inference: tuple[InferenceFacts, ...], whole: WholeFacts, *, tuned: bool
) -> Iterator[tuple[Finding, str]]:
    if tuned:
        return
    best = max(inference, key=lambda row: row.images_per_s.median)
    used = next(
        row
        for row in inference
        if (row.backend, row.batch_size) == (whole.backend, whole.batch_size)
    )
    if best.images_per_s.median > _CLEARLY * used.images_per_s.median:
        yield (
            Finding.TUNE,
            f"{best.backend} with batches of {best.batch_size} answers "
            f"{best.images_per_s.median / used.images_per_s.median:.1f} times as fast as "
            f"{used.backend} with batches of {used.batch_size}, which runs by itself: "
            "birdcli bench --tune measures whether that holds next to decoding, and remembers it.",
        )


def warn_of_noise(figures: Iterable[tuple[str, Rounds]]) -> tuple[str, ...]:
    """Returns a warning if rounds of the same differ by more than a tenth.

    Args:
        figures: What each figure is called, and its rounds.
    """
    noisy = sorted(
        ((rounds.spread, name) for name, rounds in figures if rounds.noisy), reverse=True
    )
    if not noisy:
        return ()
    spread, name = noisy[0]
    others = f", and {len(noisy) - 1} more figures by over 10 %" if len(noisy) > 1 else ""
    return (
        f"rounds of the same measurement differ: {name} by {spread:.0%}{others}; other programs "
        "run here, or the clock of the processor varies. Small differences mean nothing.",
    )
