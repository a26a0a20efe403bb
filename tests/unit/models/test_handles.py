from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.manifest import Manifest
from birdcli.model_version import LabelsSpec, ModelFormat, ModelVersion
from birdcli.models.handles import resolve_handle
from birdcli.models.install import InstallTools, SourceOverrides, install
from birdcli.registry import Registry, load_builtin_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TFHUB = "https://tfhub.dev/google/aiy/vision/classifier/birds_V1/1"
API = "https://www.kaggle.com/api/v1/models/google/aiy"
BIRDS = f"{API}/tensorFlow1/vision-classifier-birds-v1/1/download"
PAGES = "https://www.kaggle.com/models/google/aiy"


def test_a_kaggle_handle_becomes_its_download() -> None:
    assert resolve_handle("kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/1") == BIRDS


@pytest.mark.parametrize(
    "page",
    [
        f"{PAGES}/tensorFlow1/vision-classifier-birds-v1/1",
        f"{PAGES}/TensorFlow1/vision-classifier-birds-v1/1/",
        f"{PAGES}/tensorFlow1/vision-classifier-birds-v1/1?tfhub-redirect=true",
        f"{PAGES}/frameworks/TensorFlow1/variations/vision-classifier-birds-v1/versions/1",
        "https://Kaggle.com/models/google/aiy/tensorFlow1/vision-classifier-birds-v1/1#files",
    ],
)
def test_the_page_of_a_model_becomes_its_download(page: str) -> None:
    assert resolve_handle(page) == BIRDS


@pytest.mark.parametrize(
    ("written", "slug"),
    [
        ("TensorFlow1", "tensorFlow1"),
        ("tensorflow2", "tensorFlow2"),
        ("TfLite", "tfLite"),
        ("TFLite", "tfLite"),
        ("Keras", "keras"),
        ("scikitLearn", "scikitLearn"),
        ("ScikitLearn", "scikitLearn"),
    ],
)
def test_frameworks_are_spelled_as_the_api_wants_them(written: str, slug: str) -> None:
    assert resolve_handle(f"kaggle:google/aiy/{written}/x/3") == f"{API}/{slug}/x/3/download"


@pytest.mark.parametrize("handle", [TFHUB, f"{TFHUB}/", TFHUB.replace("tfhub.dev", "TFHub.dev")])
def test_a_tfhub_handle_asks_for_the_archive(handle: str) -> None:
    assert resolve_handle(handle).lower() == f"{TFHUB}?tf-hub-format=compressed".lower()


@pytest.mark.parametrize(
    "source",
    [
        "model.tar.gz",
        "./kaggle:odd/name",
        "/models/google/aiy/tensorFlow1/vision-classifier-birds-v1/1",
        BIRDS,
        f"{TFHUB}?tf-hub-format=compressed",
        f"{TFHUB}?lite-format=tflite",
        f"{TFHUB}#1",
        "https://tfhub.dev/",
        "https://tfhub.dev:8443/google/x/1",
        "http://tfhub.dev/google/x/1",
        "https://tfhub.dev.example/google/x/1",
        f"{PAGES}/tensorFlow1/vision-classifier-birds-v1",
        f"{PAGES}/tensorFlow1/vision-classifier-birds-v1/1/download",
        "https://www.kaggle.com.example/models/google/aiy/tensorFlow1/x/1",
        "https://[/models",
        "",
    ],
)
def test_every_other_source_stays_as_it_is(source: str) -> None:
    assert resolve_handle(source) == source


@pytest.mark.parametrize(
    "handle",
    [
        "kaggle:",
        "kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1",
        "kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/1/2",
        "kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/latest",
        "kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/0",
        "kaggle:google/aiy/tensorFlow1/vision-classifier-birds-v1/1\n",
        "kaggle:../../competitions/x/y/1",
        "kaggle:google/aiy//x/1",
        "Kaggle:google/aiy/tensor Flow/x/1",
        "kaggle://google/aiy/tensorFlow1/x/1",
    ],
)
def test_a_malformed_kaggle_handle_is_refused_with_the_form(handle: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_handle(handle)
    assert caught.value.code == ErrorCode.MODEL_SOURCE_UNREADABLE
    assert "kaggle:OWNER/MODEL/FRAMEWORK/VARIATION/VERSION" in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("declared", [True, False])
def test_an_installation_downloads_from_what_a_handle_stands_for(
    declared: bool, tmp_path: Path
) -> None:
    asked: list[str] = []

    def download(sources: Sequence[str], _destination: Path) -> str:
        asked[:] = sources
        raise ModelError(ErrorCode.MODEL_DOWNLOAD_FAILED, "enough")

    handle = "kaggle:google/aiy/TensorFlow1/vision-classifier-birds-v1/1"
    version = ModelVersion(
        name="birds",
        version="1",
        format=ModelFormat.TF1_HUB,
        sources=(handle, TFHUB) if declared else (),
        labels=LabelsSpec(path="labels.csv"),
    )
    overrides = SourceOverrides() if declared else SourceOverrides(model=handle)
    tools = InstallTools(
        download=download, say=asked.append, warn=asked.append, who="ann", threads=1
    )
    with pytest.raises(ModelError, match="enough"):
        install(Registry(tmp_path, Manifest()), version, overrides, tools)
    assert asked == ([BIRDS, f"{TFHUB}?tf-hub-format=compressed"] if declared else [BIRDS])


def test_resolving_twice_changes_nothing() -> None:
    for source in (TFHUB, "kaggle:google/aiy/TfLite/x/3"):
        assert resolve_handle(resolve_handle(source)) == resolve_handle(source)


def test_declared_sources_are_urls_already() -> None:
    version = load_builtin_manifest().version("aiy-birds-v1@1")
    assert version is not None
    assert [resolve_handle(source) for source in version.sources] == list(version.sources)
