"""When a guess is right."""

from __future__ import annotations

import unicodedata

import pytest

from birdcli.items import Prediction
from birdcli.labels import LabelSet
from birdcli.species import place_of, same_class, share_common_names, unknown_species


def guess(label: str, common_name: str | None = None) -> Prediction:
    return Prediction(class_id=0, label=label, common_name=common_name, score=0.5)


@pytest.mark.parametrize(
    ("species", "label", "common_name", "right"),
    [
        ("Corvus corax", "Corvus corax", None, True),
        ("Common Raven", "Corvus corax", "Common Raven", True),
        ("  corvus CORAX ", "Corvus corax", None, True),
        ("common raven", "Corvus corax", " Common Raven", True),
        ("Corvus", "Corvus corax", None, False),
        ("Corvus corone", "Corvus corax", "Common Raven", False),
        ("Junco hyemalis", "Junco hyemalis oreganus", None, True),
        ("Junco hyemalis oreganus", "Junco hyemalis oreganus", None, True),
        ("Junco hyemalis caniceps", "Junco hyemalis oreganus", None, False),
        ("Junco hyemalis oreganus", "Junco hyemalis", None, False),
        ("Larus glaucescens", "Larus glaucescens \u00d7 occidentalis", None, False),
        ("background", "background", None, True),
        (unicodedata.normalize("NFD", "Rüppell's Weaver"), "Ploceus galbula", None, False),
        (
            unicodedata.normalize("NFD", "Rüppell's Weaver"),
            "Ploceus galbula",
            "Rüppell's Weaver",
            True,
        ),
    ],
)
def test_a_guess_is_right_by_label_or_english_name(
    species: str, label: str, common_name: str | None, *, right: bool
) -> None:
    assert (place_of(species, [guess(label, common_name)]) == 1) is right


def test_the_place_is_that_of_the_first_right_guess() -> None:
    guesses = [guess("Corvus corone"), guess("Corvus corax"), guess("Corvus corax principalis")]
    assert place_of("Corvus corax", guesses) == 2
    assert place_of("Pica pica", guesses) is None


def test_species_without_a_class_are_told_once_and_in_order() -> None:
    labels = LabelSet(
        labels=("Corvus corax", "Junco hyemalis oreganus"), common_names=("Common Raven", None)
    )
    species = ["Pica pica", "common raven", "Ara ararauna", "Junco hyemalis", "Pica pica"]
    assert unknown_species(labels, species) == ("Pica pica", "Ara ararauna")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (guess("Corvus corax"), guess("corvus corax", "Common Raven"), True),
        (guess("Corvus corax", "Common Raven"), guess("raven", "Common raven"), True),
        (guess("Corvus corax", "Common Raven"), guess("Common Raven"), True),
        (guess("Corvus corax"), guess("Corvus corone"), False),
        (guess("a"), guess("b"), False),
        (guess("Junco hyemalis"), guess("Junco hyemalis oreganus"), False),
    ],
)
def test_answers_are_compared_by_label_and_english_name(
    one: Prediction, other: Prediction, *, same: bool
) -> None:
    assert same_class(one, other) is same
    assert same_class(other, one) is same


def test_english_names_are_shared_by_label() -> None:
    named = LabelSet(labels=("Pica pica", "Corvus corax"), common_names=("Magpie", None))
    bare = LabelSet(labels=("corvus corax", "Pica pica"), common_names=(None, None))
    other = LabelSet(labels=("Pica pica",), common_names=("Eurasian Magpie",))
    shared = share_common_names([named, bare, other])
    assert [labels.common_names for labels in shared] == [
        ("Magpie", None), (None, "Magpie"), ("Eurasian Magpie",),
    ]  # fmt: skip
    assert [labels.labels for labels in shared] == [it.labels for it in (named, bare, other)]
