"""What a machine could run models with, and which proofs count on it."""

from __future__ import annotations

import sys

import msgspec
import pytest

from birdcli.model_version import Evidence, ModelFormat
from birdcli.models.engines import EngineName, Machine, engines_for, install_hint, this_machine
from tests.unit.test_manifest import a_version

OPENVINO, TENSORFLOW, LITERT = EngineName.OPENVINO, EngineName.TENSORFLOW, EngineName.LITERT
COMMON = {"numpy": "2.4", "pillow": "13.0"}
PROOF = Evidence(
    host="here", backend="b", libraries={"tensorflow": "2.21"}, deviation=0.0, at="2026"
)


def machine(*installed: str, host: str = "x86_64:avx2") -> Machine:
    return Machine(host=host, versions=COMMON | dict.fromkeys(installed, "1"))


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        ((), set()),
        (("tensorflow",), {TENSORFLOW, LITERT}),
        (("ai-edge-litert",), {LITERT}),
        (("openvino",), {OPENVINO}),
        (("openvino", "tensorflow", "ai-edge-litert"), {OPENVINO, TENSORFLOW, LITERT}),
    ],
)
def test_engines_are_found_by_their_distributions(
    installed: tuple[str, ...], found: set[EngineName]
) -> None:
    assert {engine for engine in EngineName if machine(*installed).has(engine)} == found


@pytest.mark.parametrize("model_format", ModelFormat)
@pytest.mark.parametrize(
    ("installed", "graphs", "tflite"),
    [
        ((), False, False),
        (("openvino",), False, False),
        (("ai-edge-litert",), False, True),
        (("tensorflow",), True, True),
    ],
)
def test_a_format_is_proven_where_its_untouched_models_run(
    model_format: ModelFormat, installed: tuple[str, ...], *, graphs: bool, tflite: bool
) -> None:
    expected = tflite if model_format is ModelFormat.TFLITE else graphs
    assert machine(*installed).can_prove(model_format) is expected


def test_every_format_has_an_engine_and_every_engine_a_hint_how_to_install_it() -> None:
    used = {engine for model_format in ModelFormat for engine in engines_for(model_format)}
    assert used == set(EngineName)
    assert all(install_hint(engine).startswith("pip install") for engine in EngineName)


def test_a_proof_names_the_library_that_answered_and_those_that_decode() -> None:
    here = machine("openvino", "tensorflow", "ai-edge-litert")
    assert here.libraries(OPENVINO) == {"openvino": "1", **COMMON}
    assert here.libraries(TENSORFLOW) == {"tensorflow": "1", **COMMON}
    assert here.libraries(LITERT) == {"ai-edge-litert": "1", **COMMON}
    assert machine("tensorflow").libraries(LITERT) == {"tensorflow": "1", **COMMON}


@pytest.mark.parametrize(
    ("host", "versions", "proven"),
    [
        ("here", {"tensorflow": "2.21"}, True),
        ("here", {"tensorflow": "2.21", "openvino": "2026"}, True),
        ("elsewhere", {"tensorflow": "2.21"}, False),
        ("here", {"tensorflow": "2.20"}, False),
        ("here", {"openvino": "2026"}, False),
    ],
)
def test_a_proof_counts_for_its_kind_of_host_and_its_libraries(
    host: str, versions: dict[str, str], *, proven: bool
) -> None:
    version = a_version(evidence=(PROOF,))
    assert Machine(host=host, versions=versions).proves(version) is proven
    assert not Machine(host=host, versions=versions).proves(a_version())


def test_a_proof_that_names_no_library_counts_for_its_host_alone() -> None:
    version = a_version(evidence=(msgspec.structs.replace(PROOF, libraries={}),))
    assert Machine(host="here", versions={}).proves(version)
    assert not Machine(host="there", versions={}).proves(version)


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("x86_64:avx2,avx512_bf16,fma", True),
        ("amd64:amx_bf16", True),
        ("x86_64:avx2,avx512f", False),
        ("x86_64", False),
        ("aarch64:bf16", False),
        ("", False),
    ],
)
def test_bfloat16_is_told_by_the_processors_features(host: str, *, found: bool) -> None:
    assert machine(host=host).bfloat16 is found


def test_looking_at_this_machine_imports_no_engine() -> None:
    heavy = {"tensorflow", "openvino", "ai_edge_litert", "numpy"}
    before = heavy & sys.modules.keys()
    here = this_machine()
    assert heavy & sys.modules.keys() == before
    assert here.versions["numpy"]
    assert here.has(TENSORFLOW)
