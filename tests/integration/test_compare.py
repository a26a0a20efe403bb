"""Real models compared on real files: tiny SavedModels, the real AIY module, the real command."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from birdcli.errors import ErrorCode
from birdcli.evaluation import Accept, Refuse, plan_evaluation
from birdcli.labelled_photos import load_photos
from birdcli.models.evaluate import run_evaluation
from birdcli.registry import Registry, load_builtin_manifest
from tests.e2e.conftest import Birdcli
from tests.tiny_model import SIZE, save_labels, save_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Finished

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]
PHOTOS = 24
MODELS = ("tiny@1", "tiny@2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue spots on black, each photo also with both swapped, below the same name."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.RandomState(3)
    for name in ("seen", "swapped"):
        (folder / name).mkdir()
    for number in range(PHOTOS):
        pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
        for _ in range(6):
            y, x = random.randint(0, SIZE - 6, 2)
            pixels[y : y + 6, x : x + 6, random.choice([0, 2])] = 255
        Image.fromarray(pixels).save(folder / "seen" / f"{number:02}.png")
        Image.fromarray(pixels[..., ::-1].copy()).save(folder / "swapped" / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def birdcli(tmp_path_factory: pytest.TempPathFactory) -> Birdcli:
    """A home with `tiny@1`, which has English names, and `tiny@2`, which reads BGR."""
    folder = tmp_path_factory.mktemp("home")
    labels = save_labels(folder / "labels.csv")
    names = folder / "names.txt"
    names.write_text("\n".join(f"Species number{i} (Bird number {i})" for i in range(11)))
    run = Birdcli(folder)
    for version, change in (("1", ""), ("2", "bgr")):
        model = save_tiny_model(folder / f"model{version}", change=change)
        added = run.inline(
            *("registry", "add", f"tiny@{version}", str(model), "--labels", str(labels)),
            *("--scale", "unit"),
            *(("--names", str(names)) if version == "1" else ()),
        )
        assert added.code == 0, added.stderr
    return run


@pytest.fixture(scope="module")
def compared(birdcli: Birdcli, photos: Path) -> dict[str, Any]:
    """Both models on the photos as they are."""
    return document(birdcli.inline("registry", "compare", *MODELS, str(photos / "seen"), "--json"))


def document(done: Finished) -> dict[str, Any]:
    assert done.code == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def best(answer: dict[str, Any]) -> str:
    label: str = answer["predictions"][0]["label"]
    return label


def write_list(path: Path, compared: dict[str, Any], side: str) -> Path:
    """A list that says of every photo what one of the models says."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("species", "path"))
        rows.writerows((best(photo[side]), photo["photo"]) for photo in compared["photos"])
    return path


def test_each_model_gives_its_own_answers(
    birdcli: Birdcli, photos: Path, compared: dict[str, Any]
) -> None:
    """A model that swaps red and blue says of a photo what the other says of the swapped one."""
    done = birdcli.inline(
        *("registry", "compare", "tiny@2", "tiny@1", str(photos / "swapped"), "--json")
    )
    for seen, swapped in zip(compared["photos"], document(done)["photos"], strict=True):
        assert best(seen["a"]) == best(swapped["a"])
        assert best(seen["b"]) == best(swapped["b"])


def test_changed_answers_are_counted_by_label(compared: dict[str, Any]) -> None:
    changed = sum(best(photo["a"]) != best(photo["b"]) for photo in compared["photos"])
    assert 5 <= changed <= PHOTOS - 5
    assert compared["summary"] == {
        "photos": PHOTOS, "changed": changed, "unchanged": PHOTOS - changed, "failed": 0,
    }  # fmt: skip


def test_the_command_shows_what_changed_and_what_it_means(
    birdcli: Birdcli, compared: dict[str, Any], tmp_path: Path
) -> None:
    listed = write_list(tmp_path / "photos.csv", compared, "a")
    with listed.open("a") as file:
        file.write("Ara ararauna,missing.jpg\n")
    done = birdcli("registry", "compare", *MODELS, listed)
    lines = done.stdout.decode().splitlines()
    changed = compared["summary"]["changed"]
    assert (done.code, lines[0].split()) == (0, ["Photo", "tiny@1", "tiny@2"])
    counts = f"{PHOTOS + 1} photos: {changed} changed, {PHOTOS - changed} unchanged, 1 failed"
    table = lines[: lines.index(counts)]
    # Both by the English names that one of them brings.
    assert len([line for line in table if line.count("Bird number") == 2]) == changed
    assert f"tiny@2 against tiny@1 on {PHOTOS + 1} photos" in lines
    assert f"{changed} photos right with tiny@1, wrong with tiny@2 (top-1):" in lines
    assert any("tiny@1  top-1  24 of 25  96.0%" in line for line in lines)
    assert lines[-1].split() == [
        *("missing.jpg", "source.not_found", "There", "is", "no", "such", "file"),
    ]
    assert done.stderr.splitlines() == [
        f"birdcli: showing {PHOTOS + 1} photos to {model} …" for model in MODELS
    ]


def test_a_model_against_itself_changes_nothing(birdcli: Birdcli, photos: Path) -> None:
    done = birdcli.inline("registry", "compare", "tiny@1", "tiny@1", str(photos / "seen"))
    counts = f"{PHOTOS} photos: 0 changed, {PHOTOS} unchanged, 0 failed"
    assert (done.code, done.stdout.decode().splitlines()) == (0, [counts])


def test_photos_of_which_none_has_an_answer_are_an_error_beside_the_report(
    birdcli: Birdcli, tmp_path: Path
) -> None:
    done = birdcli.inline("registry", "compare", *MODELS, str(tmp_path / "typo.jpg"))
    assert done.code == 2
    assert f"error[{ErrorCode.USAGE_NO_INPUT}]" in done.stderr
    assert b"1 photo: 0 changed, 0 unchanged, 1 failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tiny@1", "tiny@9", "x.jpg"), 3, ErrorCode.MODEL_NOT_FOUND),
        (("tiny@1", "imagenet-birds", "x.jpg"), 3, ErrorCode.MODEL_NOT_INSTALLED),
        ((*MODELS, "https://example.org/a.jpg"), 2, ErrorCode.USAGE_BAD_FLAG),
        ((*MODELS, "ftp://example.org/a.jpg"), 2, ErrorCode.USAGE_BAD_FLAG),
        ((*MODELS, "-"), 2, ErrorCode.USAGE_BAD_FLAG),
        ((*MODELS, "a.csv", "b.jpg"), 2, ErrorCode.USAGE_BAD_FLAG),
        ((*MODELS, "missing.csv"), 2, ErrorCode.USAGE_INPUT_UNREADABLE),
        ((*MODELS, "{empty}"), 2, ErrorCode.USAGE_NO_INPUT),
    ],
)
def test_refusals_have_their_codes(
    birdcli: Birdcli, tmp_path: Path, arguments: tuple[str, ...], code: int, words: ErrorCode
) -> None:
    given = [argument.format(empty=tmp_path) for argument in arguments]
    done = birdcli.inline("registry", "compare", *given)
    assert (done.code, done.stdout) == (code, b"")
    assert f"error[{words}]" in done.stderr


def test_a_flipped_byte_in_either_model_is_found_before_any_is_shown_a_photo(
    birdcli: Birdcli, photos: Path
) -> None:
    registry = Registry(birdcli.home, load_builtin_manifest())
    path = registry.version_folder(registry.resolve("tiny@2")) / "labels.csv"
    intact = path.read_bytes()
    path.write_bytes(intact.replace(b"number3", b"number4"))
    try:
        done = birdcli.inline("registry", "compare", *MODELS, str(photos / "seen"))
    finally:
        path.write_bytes(intact)
    assert (done.code, done.stdout) == (3, b"")
    assert f"error[{ErrorCode.MODEL_SHA256_MISMATCH}]" in done.stderr
    assert "showing" not in done.stderr


def test_a_candidate_that_is_right_less_often_is_refused(
    birdcli: Birdcli, compared: dict[str, Any], tmp_path: Path
) -> None:
    registry = Registry(birdcli.home, load_builtin_manifest())
    first, second = (registry.resolve(model) for model in MODELS)
    listed = load_photos(write_list(tmp_path / "photos.csv", compared, "a"))
    told: list[str] = []
    run = run_evaluation(registry, second, first, listed, threads=2, say=told.append)
    assert run.production is not None
    changed = compared["summary"]["changed"]
    candidate, production = run.candidate.evaluation, run.production.evaluation
    assert (candidate.top1, production.top1) == (PHOTOS - changed, PHOTOS)
    assert told == [f"showing {PHOTOS} photos to {model}" for model in ("tiny@2", "tiny@1")]
    assert isinstance(plan_evaluation(candidate, production, 0.0), Refuse)
    assert isinstance(plan_evaluation(production, candidate, 0.0), Accept)
    alone = run_evaluation(registry, first, None, listed, threads=2, say=told.append)
    assert (alone.candidate, alone.production) == (run.production, None)


@pytest.mark.data
def test_the_real_model_beats_the_one_that_knows_59_birds(test_data: Path, tmp_path: Path) -> None:
    run = Birdcli(tmp_path)
    folder = test_data / "models" / "aiy-birds-v1"
    pulled = run.inline(
        *("registry", "pull", "aiy-birds-v1", "--from", str(folder / "aiy_birds_V1_1.tar.gz")),
        *("--labels", str(folder / "aiy_birds_V1_labelmap.csv")),
        *("--names", str(folder / "inat_bird_labels.txt")),
    )
    assert pulled.code == 0, pulled.stderr
    assert run.inline("registry", "pull", "imagenet-birds").code == 0
    images = test_data / "images"
    listed = tmp_path / "photos.csv"
    listed.write_text(
        "path,species\n"
        f"{images}/01_american_avocet.png,Recurvirostra americana\n"
        f"{images}/02_bullocks_oriole.png,Bullock's Oriole\n"
        f"{images}/03_killdeer.png,killdeer\n"
        f"{images}/14_bald_eagle.jpg,Bald Eagle\n"
        f"{images}/20_Junco_hyemalis.jpg,Junco hyemalis\n"
    )
    found = document(
        run.inline("registry", "compare", "imagenet-birds", "aiy-birds-v1", str(listed), "--json")
    )
    small, large = found["evaluation"]["a"], found["evaluation"]["b"]
    assert (small["unknown"], large["unknown"]) == (4, 0)
    assert (small["top1"], large["top1"]) == (1, 5)
    assert found["evaluation"]["top1"]["won"] == [0, 1, 2, 4]
    eagle = found["photos"][3]
    assert eagle["change"] == "unchanged"
    assert best(eagle["a"]) == best(eagle["b"]) == "Haliaeetus leucocephalus"
