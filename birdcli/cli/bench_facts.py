"""Measurements as a report."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from birdcli import __version__
from birdcli.bench.advice import advise, bound_per_s, find_bottleneck, warn_of_noise
from birdcli.bench.report import (
    BenchReport,
    DecodeFacts,
    HostFacts,
    InferenceFacts,
    PhotoFacts,
    SizeClass,
    StartFacts,
    WholeFacts,
)
from birdcli.bench.rounds import Rounds, core_ms_of, rates_of
from birdcli.host import usable_cpus
from birdcli.models.engines import EngineName, engines_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from birdcli.bench.decoding import DecodeRound
    from birdcli.bench.photos import PhotoSet
    from birdcli.bench.rounds import Work
    from birdcli.bench.worker import EngineBench, Loaded
    from birdcli.cli.bench_subject import BenchSubject
    from birdcli.models.variants import Variant


@dataclass(slots=True)
class MeasuredEngine:
    """A process with the variants of one engine, and what it has measured."""

    worker: EngineBench
    loaded: dict[Variant, Loaded]
    command_s: Rounds
    inference: dict[tuple[Variant, int], list[Work]] = field(default_factory=dict)
    whole: list[Work] = field(default_factory=list)

    @property
    def first(self) -> Variant:
        """The variant that runs if this engine is asked for."""
        return next(iter(self.loaded))


def make_report(
    subject: BenchSubject, engines: Sequence[MeasuredEngine], decoding: Sequence[DecodeRound]
) -> BenchReport:
    """Returns the report of what was measured."""
    host = _host_facts(subject)
    photos = photo_facts(subject.photos)
    decode = _decode_facts(subject.photos, decoding)
    inference = tuple(row for engine in engines for row in _inference_facts(engine))
    whole = tuple(_whole_facts(subject, engine, decode) for engine in engines)
    start = tuple(
        StartFacts.of(engine.first, engine.loaded[engine.first].start, engine.command_s)
        for engine in engines
    )
    wanted = engines_for(subject.version.format)
    advice = advise(
        host=host,
        photos=photos,
        decode=decode,
        inference=inference,
        whole=whole[0],
        start=start,
        openvino_missing=EngineName.OPENVINO in wanted
        and not subject.machine.has(EngineName.OPENVINO),
        tuned=subject.tuning is not None,
    )
    figures = [("decoding", decode.images_per_s)]
    figures += [(f"{row.backend} at batch {row.batch_size}", row.images_per_s) for row in inference]
    figures += [(f"from files with {row.backend}", row.images_per_s) for row in whole]
    return BenchReport(
        host=host,
        model=subject.version.id,
        photos=photos,
        decode=decode,
        inference=inference,
        whole=whole,
        start=start,
        bottleneck=find_bottleneck(whole[0], decode, subject.cpus),
        advice=advice,
        warnings=warn_of_noise(figures),
    )


def _host_facts(subject: BenchSubject) -> HostFacts:
    machine = subject.machine
    return HostFacts(
        cpus=subject.cpus,
        all_cpus=os.cpu_count() or subject.cpus,
        usable_cpus=usable_cpus(),
        features=machine.host,
        bfloat16=machine.bfloat16,
        versions={"birdcli": __version__, **machine.versions},
    )


def photo_facts(photos: PhotoSet) -> PhotoFacts:
    """Returns what a report says of a set of photos."""
    taken = [photos.photos[at] for at in photos.order]
    return PhotoFacts(
        generated=photos.generated,
        measured=len(photos.photos),
        found=photos.found,
        unreadable=len(photos.broken),
        mean_bytes=sum(len(photo.data) for photo in taken) / len(taken),
        mean_megapixels=sum(photo.width * photo.height for photo in taken) / len(taken) / 1e6,
        read_mb_s=photos.read_mb_s,
        read_per_s=photos.read_per_s,
    )


def _decode_facts(photos: PhotoSet, decoding: Sequence[DecodeRound]) -> DecodeFacts:
    works = [round_.work for round_ in decoding]

    def cost(name: str) -> float | None:
        seen = [round_.core_ms[name] for round_ in decoding if name in round_.core_ms]
        return Rounds(tuple(seen)).median if seen else None

    costs: Mapping[str, float | None] = {name: cost(name) for name in photos.size_classes}
    return DecodeFacts(
        images_per_s=rates_of(works),
        core_ms=core_ms_of(works),
        busy=Rounds(tuple(work.busy for work in works)).median,
        sizes=tuple(
            SizeClass(name=name, share=photos.share_of(name), core_ms=core_ms)
            for name, core_ms in costs.items()
            if core_ms is not None
        ),
    )


def _inference_facts(engine: MeasuredEngine) -> Iterator[InferenceFacts]:
    for (variant, batch_size), rounds in engine.inference.items():
        yield InferenceFacts(
            engine=variant.engine,
            precision=variant.precision,
            batch_size=batch_size,
            streams=engine.loaded[variant].streams,
            images_per_s=rates_of(rounds),
            core_ms=core_ms_of(rounds),
        )


def _whole_facts(subject: BenchSubject, engine: MeasuredEngine, decode: DecodeFacts) -> WholeFacts:
    variant = engine.first
    batch_size = subject.batch_size_of(variant)
    inference_core_ms = core_ms_of(engine.inference[variant, batch_size])
    return WholeFacts(
        engine=variant.engine,
        precision=variant.precision,
        batch_size=batch_size,
        streams=engine.loaded[variant].streams,
        images_per_s=rates_of(engine.whole),
        core_ms=core_ms_of(engine.whole),
        decode_core_ms=decode.core_ms,
        inference_core_ms=inference_core_ms,
        busy=Rounds(tuple(work.busy for work in engine.whole)).median,
        bound_per_s=bound_per_s(decode.core_ms, inference_core_ms, subject.cpus),
    )
