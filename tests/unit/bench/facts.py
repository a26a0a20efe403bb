"""Facts of an imaginary host, to change one at a time."""

from __future__ import annotations

from birdcli.bench.report import (
    DecodeFacts,
    HostFacts,
    InferenceFacts,
    PhotoFacts,
    SizeClass,
    StartFacts,
    WholeFacts,
)
from birdcli.bench.rounds import Rounds

HOST = HostFacts(
    cpus=2,
    all_cpus=2,
    usable_cpus=2,
    features="x86_64:avx512_bf16",
    bfloat16=True,
    versions={"birdcli": "1", "openvino": "2"},
)
PHOTOS = PhotoFacts(
    generated=False,
    measured=20,
    found=20,
    unreadable=0,
    mean_bytes=250_000.0,
    mean_megapixels=1.5,
    read_mb_s=500.0,
    read_per_s=2000.0,
)
DECODE = DecodeFacts(
    images_per_s=Rounds((580.0, 590.0, 600.0)),
    core_ms=3.4,
    busy=0.98,
    sizes=(SizeClass(name="1 to 4 MP", share=1.0, core_ms=3.4),),
)
INFERENCE = InferenceFacts(
    engine="openvino",
    precision="bfloat16",
    batch_size=8,
    streams=2,
    images_per_s=Rounds((800.0, 810.0, 820.0)),
    core_ms=2.4,
)
WHOLE = WholeFacts(
    engine="openvino",
    precision="bfloat16",
    batch_size=8,
    streams=2,
    images_per_s=Rounds((300.0, 310.0, 305.0)),
    core_ms=6.4,
    decode_core_ms=3.4,
    inference_core_ms=2.4,
    busy=0.97,
    bound_per_s=345.0,
)
START = StartFacts(
    engine="tensorflow",
    precision="float32",
    imports_s=2.0,
    model_s=0.8,
    first_batch_s=0.9,
    command_s=Rounds((4.6, 4.8)),
)
