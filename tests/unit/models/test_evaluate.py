"""Files to answers: in order, bounded, whatever is wrong with some of them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from birdcli.errors import DecodeError, ErrorCode
from birdcli.items import ErrorInfo
from birdcli.models.evaluate import BATCH_SIZE, classify_files
from tests.fakes import LABELS, FakeClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from birdcli.evaluation import Answer
    from birdcli.items import RgbImage


def decode(data: bytes) -> RgbImage:
    if data.startswith(b"text"):
        raise DecodeError(ErrorCode.DECODE_NOT_AN_IMAGE, "this is text")
    return np.full((2, 2, 3), data[0], np.uint8)


def write(folder: Path, *contents: bytes) -> list[str]:
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.jpg"
        path.write_bytes(content)
        paths.append(str(path))
    return paths


def answers_to(paths: list[str], classifier: FakeClassifier | None = None) -> list[Answer]:
    return list(classify_files(paths, classifier or FakeClassifier(), LABELS, decode, threads=2))


def told(answer: Answer) -> str:
    return answer.code if isinstance(answer, ErrorInfo) else answer[0].label


def test_answers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    contents = [bytes([number % 3]) for number in range(50)]
    expected = [LABELS.labels[number % 3] for number in range(50)]
    assert [told(answer) for answer in answers_to(write(tmp_path, *contents))] == expected


def test_an_answer_has_three_guesses(tmp_path: Path) -> None:
    (answer,) = answers_to(write(tmp_path, b"\x01"))
    assert isinstance(answer, tuple)
    assert [guess.class_id for guess in answer] == [1, 0, 2]


def test_batches_are_full_but_the_last(tmp_path: Path) -> None:
    classifier = FakeClassifier()
    answers_to(write(tmp_path, *[b"\x00"] * 19), classifier)
    assert classifier.batches == [BATCH_SIZE, BATCH_SIZE, 3]


def test_no_file_gives_no_answer() -> None:
    assert answers_to([]) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"text", ErrorCode.DECODE_NOT_AN_IMAGE),
        (b"", ErrorCode.SOURCE_EMPTY),
        (b"!", ErrorCode.INFERENCE_FAILED),
        (b"?", ErrorCode.INFERENCE_NON_FINITE),
    ],
)
def test_a_bad_file_costs_no_other_its_answer(
    tmp_path: Path, content: bytes, code: ErrorCode
) -> None:
    found = [told(answer) for answer in answers_to(write(tmp_path, b"\x00", content, b"\x02"))]
    assert found == ["Pica pica", code, "Turdus merula"]


def test_a_batch_of_bad_files_is_not_classified(tmp_path: Path) -> None:
    classifier = FakeClassifier()
    found = answers_to([*write(tmp_path, b"text"), str(tmp_path / "none.jpg")], classifier)
    assert [told(answer) for answer in found] == [
        ErrorCode.DECODE_NOT_AN_IMAGE,
        ErrorCode.SOURCE_NOT_FOUND,
    ]
    assert classifier.batches == []


def test_a_path_may_come_twice(tmp_path: Path) -> None:
    paths = write(tmp_path, b"\x01")
    assert [told(answer) for answer in answers_to(paths * 2)] == ["Corvus corax"] * 2


def test_few_files_are_taken_before_their_turn(tmp_path: Path) -> None:
    (path,) = write(tmp_path, b"\x00")
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    answers = classify_files(endless(), FakeClassifier(), LABELS, decode, threads=2)
    for _ in range(10 * BATCH_SIZE):
        next(answers)
    assert taken <= 12 * BATCH_SIZE


def test_stopping_early_ends_the_threads(tmp_path: Path) -> None:
    def threads() -> int:
        return sum(thread.name.startswith("birdcli-evaluate") for thread in threading.enumerate())

    answers = classify_files(
        write(tmp_path, *[b"\x00"] * 40), FakeClassifier(), LABELS, decode, threads=2
    )
    next(answers)
    assert threads()
    del answers
    assert not threads()
