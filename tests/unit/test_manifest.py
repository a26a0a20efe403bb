"""The manifest is read strictly: a doubtful one is refused, never repaired."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birdcli.errors import ErrorCode, ModelError
from birdcli.manifest import Manifest, check_model_id, parse_manifest, render_manifest
from birdcli.model_version import (
    Evidence,
    FileEntry,
    InputSpec,
    InputType,
    LabelsSpec,
    Layout,
    ModelFormat,
    ModelVersion,
    NamesSpec,
    OutputKind,
    Scale,
)
from birdcli.registry import load_builtin_manifest

SHA = "ab" * 32


def a_version(**changes: object) -> ModelVersion:
    version = ModelVersion(
        name="birds",
        version="2",
        format=ModelFormat.SAVED_MODEL,
        labels=LabelsSpec(path="labels.csv", sha256=SHA, background_id=3),
        names=NamesSpec(path="names.txt", sha256=SHA, source="https://example.org/n"),
        files=(FileEntry(path="module/saved_model.pb", bytes=7, sha256=SHA),),
        golden=FileEntry(path="golden.npz", bytes=9, sha256=SHA),
        output=OutputKind.LOGITS,
        provenance={"run": "17"},
    )
    return msgspec.structs.replace(version, **changes)


def document(**changes: object) -> dict[str, object]:
    return json.loads(render_manifest(Manifest(versions=(a_version(),)))) | changes  # type: ignore[no-any-return]


def entry_of(raw: dict[str, object]) -> dict[str, object]:
    return raw["models"]["birds"]["2"]  # type: ignore[index,no-any-return]


def refusal(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        parse_manifest(data)
    assert caught.value.code is ErrorCode.MODEL_MANIFEST_INVALID
    return caught.value.message


words = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,8}", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
versions = st.builds(
    ModelVersion,
    name=words,
    version=words,
    format=st.sampled_from(ModelFormat),
    sources=st.lists(st.text(), max_size=2).map(tuple),
    labels=st.builds(LabelsSpec, path=st.just("l.csv"), sha256=st.none() | digests,
                     background_id=st.none() | st.integers(0, 9)),
    output=st.none() | st.sampled_from(OutputKind),
    licence=st.text(),
    provenance=st.dictionaries(st.text(), st.text(), max_size=2),
    files=st.none() | st.lists(
        st.builds(FileEntry, path=words.filter(lambda w: ".." not in w), bytes=st.integers(0, 9),
                  sha256=digests), max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(versions, max_size=4, unique_by=lambda v: v.id), st.lists(words, max_size=3))
def test_a_printed_manifest_parses_to_itself(entries: list[ModelVersion], names: list[str]) -> None:
    aliases = {name: entries[0].id for name in names if entries}
    manifest = Manifest(versions=tuple(entries), aliases=aliases)
    parsed = parse_manifest(render_manifest(manifest))
    assert sorted(parsed.versions, key=lambda v: v.id) == sorted(entries, key=lambda v: v.id)
    assert parsed.aliases == aliases


def test_every_cut_is_refused() -> None:
    data = render_manifest(Manifest(versions=(a_version(),)))
    for length in range(len(data) - 2):
        refusal(data[:length])


@pytest.mark.parametrize(
    "aliases", [{"production": "nowhere@1"}, {"birds@2": "birds@2"}, {"Production": "birds@2"}]
)
def test_an_alias_that_points_nowhere_or_looks_like_an_id_is_refused(
    aliases: dict[str, str],
) -> None:
    refusal(json.dumps(document(aliases=aliases)).encode())


@pytest.mark.parametrize("height", [0, 10**9])
def test_an_input_without_a_sensible_size_is_refused(height: int) -> None:
    raw = document()
    entry_of(raw)["input"] = {
        "height": height, "width": 224, "scale": "unit", "preprocessing": "squash-antialias@1"
    }  # fmt: skip
    assert "pixels" in refusal(json.dumps(raw).encode())


def test_a_newer_schema_is_refused_as_such_and_not_for_its_fields() -> None:
    raw = document(schema=2, surprise=True)
    assert "a newer birdcli wrote it" in refusal(json.dumps(raw).encode())


def test_a_key_that_stands_twice_is_refused() -> None:
    data = b'{"schema":1,"aliases":{"production":"a@1","production":"b@1"}}'
    assert "'production' stands twice" in refusal(data)


def test_an_unknown_field_is_refused_rather_than_lost() -> None:
    raw = document()
    entry_of(raw)["colour"] = "blue"
    assert "colour" in refusal(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "C:/x", "a\\b", "", "module/../../x"]
)
def test_a_path_that_leaves_the_registry_is_refused(path: str) -> None:
    raw = document()
    entry_of(raw)["files"] = [{"path": path, "bytes": 1, "sha256": SHA}]
    assert "leaves the registry" in refusal(json.dumps(raw).encode())


@pytest.mark.parametrize("field", ["labels", "names", "golden"])
def test_the_paths_of_labels_names_and_golden_are_checked_too(field: str) -> None:
    raw = document()
    entry_of(raw)[field]["path"] = "../x"  # type: ignore[index]
    assert "leaves the registry" in refusal(json.dumps(raw).encode())


@pytest.mark.parametrize("digest", ["", "xyz", "AB" * 32, "ab" * 31])
def test_a_malformed_digest_is_refused(digest: str) -> None:
    raw = document()
    entry_of(raw)["golden"] = {"path": "g", "bytes": 1, "sha256": digest}
    assert "is no sha256" in refusal(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b"{", b'{"schema":"1"}', b"\xff", b"[" * 9999]
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    refusal(data)


@pytest.mark.parametrize(
    ("name", "version"),
    [("Birds", "1"), ("a/b", "1"), ("..", "1"), ("a", ""), ("", "1"), ("a", "../1"), ("a", "1 2")],
)
def test_ids_unfit_for_a_folder_are_refused(name: str, version: str) -> None:
    with pytest.raises(ModelError):
        check_model_id(name, version)


def test_the_digest_of_what_exists_stays_for_ever() -> None:
    """Histories keep it: another value here would make every home refuse its own models."""
    version = ModelVersion(
        name="birds",
        version="1",
        format=ModelFormat.SAVED_MODEL,
        labels=LabelsSpec(path="l.csv", sha256="ab" * 32, background_id=3),
        names=NamesSpec(path="n.txt", sha256="cd" * 32),
        input=InputSpec(height=32, scale=Scale.NONE),
        signature="serving_default",
        output=OutputKind.LOGITS,
        files=(FileEntry(path="module/saved_model.pb", bytes=1, sha256="ef" * 32),),
    )
    assert version.digest == "2b1ce5376c1601422be008e9989396b0eabf5ef1356a58fa006ad231aa78dd8a"


def test_the_digest_moves_with_everything_that_decides_an_answer() -> None:
    base = a_version()
    other_file = (FileEntry(path="module/saved_model.pb", bytes=7, sha256="cd" * 32),)
    changed = [
        a_version(files=other_file),
        a_version(labels=LabelsSpec(path="labels.csv", sha256="cd" * 32)),
        a_version(names=None),
        a_version(signature="other"),
        a_version(output=OutputKind.PROBABILITIES),
        a_version(input=msgspec.structs.replace(base.input, preprocessing="squash-bilinear@1")),
        a_version(input=msgspec.structs.replace(base.input, dtype=InputType.UINT8)),
        a_version(input=msgspec.structs.replace(base.input, layout=Layout.NCHW)),
    ]
    assert len({base.digest, *(version.digest for version in changed)}) == 1 + len(changed)
    assert a_version(licence="MIT").digest == base.digest


def test_a_new_proof_replaces_the_one_of_the_same_circumstances() -> None:
    old = Evidence(host="h", backend="b", libraries={"t": "1"}, deviation=0.1, at="2026")
    new = msgspec.structs.replace(old, deviation=0.2)
    other = msgspec.structs.replace(old, host="other")
    version = a_version().with_evidence(old).with_evidence(other).with_evidence(new)
    assert version.evidence == (other, new)


def test_own_versions_win_over_declared_ones() -> None:
    own = Manifest(versions=(a_version(licence="own"),))
    merged = own.merged_over(Manifest(versions=(a_version(), a_version(version="3"))))
    assert [(v.id, v.licence) for v in merged.versions] == [("birds@2", "own"), ("birds@3", "")]


def test_the_shipped_declarations_are_pinned_where_the_originals_are_known() -> None:
    manifest = load_builtin_manifest()
    aiy = manifest.version("aiy-birds-v1@1")
    assert aiy is not None
    assert aiy.files is None
    assert aiy.labels.sha256 is not None
    assert aiy.names is not None
    assert aiy.names.sha256 is not None
    assert len(aiy.sources) == 2
    lite = manifest.version("aiy-birds-lite@3")
    assert lite is not None
    assert lite.files is not None
    assert (lite.labels, lite.names) == (aiy.labels, aiy.names)
    assert manifest.version("imagenet-birds@1") is not None
