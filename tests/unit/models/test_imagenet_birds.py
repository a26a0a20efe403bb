"""The names of ImageNet's birds."""

from __future__ import annotations

import csv
import io

import pytest

from birdcli.labels import parse_common_names, parse_label_map
from birdcli.models.imagenet_birds import (
    bird_labels,
    label_map_csv,
    load_birds,
    names_text,
)


def test_the_birds_are_imagenets_in_its_order() -> None:
    ids = [bird.imagenet_id for bird in load_birds()]
    assert ids == [*range(7, 25), *range(80, 101), *range(127, 147)]


@pytest.mark.parametrize(
    ("imagenet_id", "label", "common_name"),
    [
        (7, "Gallus gallus domesticus ♂", "Rooster"),
        (14, "Passerina cyanea", "Indigo Bunting"),
        (22, "Haliaeetus leucocephalus", "Bald Eagle"),
        (24, "Strix nebulosa", "Great Gray Owl"),
        (80, "Lyrurus", "Black Grouse"),
        (89, "Cacatua galerita", "Sulphur-crested Cockatoo"),
        (94, "Trochilidae", "Hummingbird"),
        (100, "Cygnus atratus", "Black Swan"),
        (127, "Ciconia ciconia", "White Stork"),
        (130, "Phoenicopteridae", "Flamingo"),
        (145, "Aptenodytes patagonicus", "King Penguin"),
        (146, "Diomedeidae", "Albatross"),
    ],
)
def test_a_class_has_its_names(imagenet_id: int, label: str, common_name: str) -> None:
    (bird,) = [bird for bird in load_birds() if bird.imagenet_id == imagenet_id]
    assert (bird.label, bird.common_name) == (label, common_name)


def test_labels_are_unique_and_end_with_background() -> None:
    labels = bird_labels()
    assert len(labels) == len(set(labels)) == 60
    assert labels[59] == "background"


def test_names_hold_no_stray_spaces_or_parentheses() -> None:
    for bird in load_birds():
        for name in (bird.label, bird.common_name):
            assert name
            assert name == " ".join(name.split())
            assert not set(name) & set("(),\"'")


def test_the_label_map_is_read_back_as_the_labels() -> None:
    assert parse_label_map(label_map_csv().encode()) == bird_labels()


def test_the_label_map_has_the_header_id_name() -> None:
    rows = list(csv.reader(io.StringIO(label_map_csv())))
    assert rows[0] == ["id", "name"]
    assert rows[60] == ["59", "background"]


def test_every_bird_and_no_background_has_an_english_name() -> None:
    common_names = parse_common_names(names_text().encode(), bird_labels())
    assert common_names == (*(bird.common_name for bird in load_birds()), None)
