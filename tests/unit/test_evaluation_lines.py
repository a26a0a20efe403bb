"""An evaluation as people read it, at any width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from birdcli.cli.evaluation_lines import evaluation_lines
from birdcli.errors import ErrorCode
from birdcli.evaluation import EvaluationRun, Graded, grade
from birdcli.items import ErrorInfo, Prediction
from birdcli.labelled_photos import LabelledPhoto, PhotoList
from birdcli.labels import LabelSet

SPECIES = ("Pica pica", "Corvus corax", "Stelgidopteryx serripennis", "Turdus merula")
ENGLISH = ("Eurasian Magpie", "Common Raven", "Northern Rough-winged Swallow", None)
LABELS = LabelSet(labels=SPECIES, common_names=ENGLISH)
BROKEN = ErrorInfo(code=ErrorCode.DECODE_CORRUPT, message="the JPEG file is \x1b[31mdamaged")


def guesses(best: int) -> tuple[Prediction, ...]:
    order = [best, *(i for i in range(4) if i != best)][:3]
    return tuple(
        Prediction(class_id=i, label=SPECIES[i], common_name=ENGLISH[i], score=0.831) for i in order
    )


def photo_list(shown: list[int], *, name: str = "IMG_{}.jpg") -> PhotoList:
    return PhotoList(
        photos=tuple(
            LabelledPhoto(source=name.format(i), path=f"/p/{i}", species=SPECIES[species])
            for i, species in enumerate(shown)
        ),
        sha256="5" * 64,
    )


def graded(model: str, photos: PhotoList, said: list[int | None]) -> Graded:
    answers = [BROKEN if best is None else guesses(best) for best in said]
    return grade(model, LABELS, photos, answers)


def run_of(
    shown: list[int],
    before: list[int | None] | None,
    after: list[int | None],
    *,
    name: str = "IMG_{}.jpg",
) -> EvaluationRun:
    photos = photo_list(shown, name=name)
    return EvaluationRun(
        photos=photos,
        candidate=graded("birds@2", photos, after),
        production=None if before is None else graded("birds@1", photos, before),
    )


def test_the_report_at_80_columns() -> None:
    run = run_of([0, 1, 2, 2, 0], [0, 1, 2, 0, None], [0, 0, 0, 2, None])
    assert evaluation_lines(run, width=80) == [
        "birds@2 against birds@1 on 5 photos",
        "Model            Right  Share  95% interval",
        "birds@2  top-1  2 of 5  40.0%    11.8-76.9%",
        "birds@1  top-1  3 of 5  60.0%    23.1-88.2%",
        "birds@2  top-3  4 of 5  80.0%    37.6-96.4%",
        "birds@1  top-3  4 of 5  80.0%    37.6-96.4%",
        "",
        "top-1: 2 lost, 1 won, p = 1.000; top-3: 0 lost, 0 won, p = 1.000. p is how often",
        "chance alone makes a difference this large (McNemar's exact test).",
        "",
        "2 photos right with birds@1, wrong with birds@2 (top-1):",
        "  IMG_1.jpg  Corvus corax                said Eurasian Magpie  83.1%",
        "  IMG_2.jpg  Stelgidopteryx serripennis  said Eurasian Magpie  83.1%",
        "",
        "1 photo wrong with birds@1, right with birds@2 (top-1):",
        "  IMG_3.jpg  Stelgidopteryx serripennis  said Eurasian Magpie  83.1%",
        "",
        "1 photo gave no answer; that counts as wrong:",
        r"  IMG_4.jpg  decode.corrupt  the JPEG file is \x1b[31mdamaged",
    ]


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    name = "a/long/way/" * 20 + "鳥 [bold] {}.jpg"
    run = run_of([0, 1, 2, 2, 0], [0, 1, 2, 0, None], [0, 0, 0, 2, None], name=name)
    lines = evaluation_lines(run, width=width)
    assert width - 10 < max(cell_len(line) for line in lines) <= width


def test_both_ends_of_a_path_and_the_score_survive_a_narrow_terminal() -> None:
    run = run_of([1], [1], [2], name="photos/of/last/summer/at/the/lake/IMG_{}.jpg")
    (line,) = [line for line in evaluation_lines(run, width=80) if "IMG_0.jpg" in line]
    assert line.startswith("  photos/")
    assert line.endswith("  83.1%")
    assert "Northern Rough" in line


def test_without_production_the_candidate_stands_alone_and_it_is_told() -> None:
    lines = evaluation_lines(run_of([0, 1], None, [0, 0]), width=80)
    assert lines == [
        "birds@2 on 2 photos; there is no model to compare it with",
        "Model            Right   Share  95% interval",
        "birds@2  top-1  1 of 2   50.0%     9.5-90.5%",
        "birds@2  top-3  2 of 2  100.0%   34.2-100.0%",
    ]


def test_ten_changed_photos_are_shown_and_the_others_counted() -> None:
    lines = evaluation_lines(run_of([0] * 13, [0] * 13, [1] * 13), width=80)
    assert "13 photos right with birds@1, wrong with birds@2 (top-1):" in lines
    assert sum(line.startswith("  IMG_") for line in lines) == 10
    assert "  and 3 more" in lines


def test_a_difference_that_chance_hardly_makes_has_a_small_p() -> None:
    lines = evaluation_lines(run_of([0] * 13, [0] * 13, [1] * 13), width=200)
    assert any("top-1: 13 lost, 0 won, p < 0.001;" in line for line in lines)


def test_a_photo_that_lost_its_answer_shows_the_code() -> None:
    lines = evaluation_lines(run_of([0, 1], [0, 1], [0, None]), width=80)
    assert "  IMG_1.jpg  Corvus corax  ✗ decode.corrupt" in lines


def test_species_without_a_class_are_named_for_each_model() -> None:
    photos = PhotoList(
        photos=tuple(
            LabelledPhoto(source=f"{i}.jpg", path=f"/p/{i}", species=f"Genus species{i % 7}")
            for i in range(8)
        ),
        sha256="5" * 64,
    )
    answers: list[int | None] = [0] * 8
    run = EvaluationRun(
        photos=photos,
        candidate=graded("birds@2", photos, answers),
        production=graded("birds@1", photos, answers),
    )
    lines = evaluation_lines(run, width=200)
    for model in ("birds@2", "birds@1"):
        assert (
            f"{model} has no class for 7 of the species, which count as wrong (8 photos): Genus "
            "species0, Genus species1, Genus species2, Genus species3, Genus species4, …"
        ) in lines
    assert all(cell_len(line) <= 80 for line in evaluation_lines(run, width=80))


def test_a_model_against_itself_is_described_once() -> None:
    photos = photo_list([0, 1])
    unknown = PhotoList(
        photos=(*photos.photos, LabelledPhoto(source="x", path="x", species="Ara ararauna")),
        sha256=photos.sha256,
    )
    same = graded("birds@1", unknown, [0, 0, 0])
    lines = evaluation_lines(
        EvaluationRun(photos=unknown, candidate=same, production=same), width=200
    )
    assert sum("has no class for" in line for line in lines) == 1
    assert not any("wrong with" in line for line in lines)
