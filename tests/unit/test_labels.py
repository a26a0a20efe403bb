"""Labels are mapped by id, and a map that does not fit names the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.labels import LabelSet, check_class_count, parse_common_names, parse_label_map

if TYPE_CHECKING:
    from pathlib import Path


def refusal(data: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        parse_label_map(data)
    assert caught.value.code is ErrorCode.MODEL_LABELS_INVALID
    return caught.value


def test_rows_are_mapped_by_id_and_never_by_position() -> None:
    data = b"id,name\n2,background\n10,k\n0,a\n1,b\n3,d\n4,e\n5,f\n6,g\n7,h\n8,i\n9,j\n"
    assert parse_label_map(data) == ("a", "b", "background", "d", "e", "f", "g", "h", "i", "j", "k")


def test_byte_order_mark_crlf_quotes_and_blank_rows_are_fine() -> None:
    data = b'\xef\xbb\xbfid,name\r\n1,"Anas, the duck"\r\n\r\n0,Pica pica\r\n'
    assert parse_label_map(data) == ("Pica pica", "Anas, the duck")


def test_plain_lines_name_classes_by_position() -> None:
    assert parse_label_map(b"Pica pica\nCorvus corax\n") == ("Pica pica", "Corvus corax")


@pytest.mark.parametrize(
    ("data", "row", "words"),
    [
        (b"id,name\n0,a\n1,b\n0,c\n", 4, "class id 0 stands twice"),
        (b"id,name\n0,a\n2,c\n", 3, "class id 1 is missing before 2"),
        (b"id,name\n0,a\n-1,c\n", 3, "'-1' is no class id"),
        (b"id,name\n0,a\n1.0,c\n", 3, "'1.0' is no class id"),
        (b"id,name\n0,a\n\xd9\xa1,c\n", 3, "is no class id"),
        (b"id,name\n0,a\n1,\n", 3, "an id and a name are expected"),
        (b"id,name\n0\n", 2, "an id and a name are expected"),
        (b"id,name\n0,a\n002,b\n", 3, "'002' is no class id"),
        (b'id,name\n0,a\n"2",b\n', 3, "class id 1 is missing before 2"),
        (b"id,name\n" + b"9" * 5000 + b",b\n", 2, "is no class id"),
        (b"id,name\n0,a\n1,\xff\n", 3, "not UTF-8"),
        (b'id,name\n0,"a\n', 2, "unexpected end of data"),
        (b"id,name\n", 2, "names no class"),
        (b"a\n\nb\n", 2, "a name is missing"),
        (b"", 1, "empty"),
        (b"id,name\n0,a\n1," + b"x" * 1001, 3, "more than 1,000 characters"),
        (b"a\n" + b"x" * 1001, 2, "more than 1,000 characters"),
        (b"x" * 200_000 + b"\na\n", 1, "more than 1,000 characters"),  # a cell is never so long
    ],
)
def test_a_bad_row_is_named(data: bytes, row: int, words: str) -> None:
    error = refusal(data)
    assert words in error.message
    assert dict(error.details)["row"] == row


def test_a_quoted_header_is_the_header_it_is() -> None:
    assert parse_label_map(b'"id","name"\n1,"Anas, the duck"\n"0","Pica"\n') == (
        "Pica",
        "Anas, the duck",
    )


@pytest.mark.parametrize(
    ("data", "row"),
    [
        pytest.param(b"1,Pica pica\n0,Corvus corax\n", 1, id="csv without a header"),
        pytest.param(b"1\tPica pica\n0\tCorvus corax\n", 1, id="tsv without a header"),
        pytest.param(b"id\tname\n1\tPica pica\n0\tCorvus corax\n", 1, id="tsv"),
        pytest.param(b"id;name\n1;Pica pica\n0;Corvus corax\n", 1, id="semicolons"),
        pytest.param(b"id|name\n1|Pica pica\n0|Corvus corax\n", 1, id="bars"),
        pytest.param(b"name,id\nPica pica,1\nCorvus corax,0\n", 1, id="columns swapped"),
        pytest.param(b'"name","id"\n"Pica pica",1\n', 1, id="columns swapped and quoted"),
        pytest.param(b'"","id","name"\n"1",1,"Pica pica"\n', 1, id="row names of R"),
        pytest.param(b"class_id,species\n1,Pica pica\n", 1, id="class_id"),
        pytest.param(b"Index,Label\n1,Pica pica\n", 1, id="index"),
        pytest.param(b"scientific name,common name\nPica pica,Magpie\n", 1, id="two names"),
        pytest.param(b"Art;Nummer\nPica pica;1\nCorvus corax;0\n", 2, id="header unknown"),
        pytest.param(b"Nummer;Art\n1;Pica pica\n0;Corvus corax\n", 2, id="header unknown, id"),
        pytest.param(b"1: Pica pica\n0: Corvus corax\n", 1, id="yaml"),
        pytest.param(b'{\n "1": "Pica pica",\n "0": "Corvus corax"\n}\n', 2, id="json"),
        pytest.param(b"1 Pica pica\n0 Corvus corax\n", 2, id="numbered"),
        pytest.param(b'"1" "Pica pica"\n"0" "Corvus corax"\n', 2, id="numbered and quoted"),
        pytest.param(b"1. Pica pica\n0. Corvus corax\n", 2, id="numbered with points"),
        pytest.param(b"0 Pica pica\n", 1, id="one line"),
    ],
)
def test_a_table_of_another_kind_is_never_taken_for_plain_names(data: bytes, row: int) -> None:
    error = refusal(data)
    assert "a csv with the header id,name is expected" in error.message
    assert dict(error.details)["row"] == row


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("Duck, wild", "Goose, grey"), id="commas"),
        pytest.param(("background", "7-spotted bird", "Pica: pica"), id="digits and colons"),
        pytest.param(("Gull, 2", "Gull, adult"), id="one that ends in a number"),
        pytest.param(("0", "1"), id="numbers for names"),
        pytest.param(("id", "name"), id="words of a header, alone"),
        pytest.param(('"Pica', "x" * 1000), id="an open quote, a long name"),
        pytest.param(("First class, Second",), id="a comma in a single line"),
    ],
)
def test_plain_names_stay_plain_names(names: tuple[str, ...]) -> None:
    assert parse_label_map("\n".join(names).encode()) == names


@pytest.mark.parametrize(
    ("classes", "words"),
    [(3, "class 2 has no label"), (1, "label 'b' (id 1) has no class")],
)
def test_a_map_of_another_length_is_refused(classes: int, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_class_count(("a", "b"), classes)
    assert caught.value.code is ErrorCode.MODEL_LABELS_INVALID
    assert words in caught.value.message


def test_a_map_of_the_right_length_passes() -> None:
    check_class_count(("a", "b"), 2)


def test_common_names_belong_to_the_class_of_their_line() -> None:
    labels = ("Pica pica", "Larus x", "Corvus corax", "background")
    data = b"Pica pica (Eurasian Magpie)\nLarus x (Gull (hybrid))\nCorvus corax (Common Raven)\n"
    assert parse_common_names(data, labels) == (
        "Eurasian Magpie",
        "Gull (hybrid)",
        "Common Raven",
        None,
    )


def test_a_name_on_the_line_of_another_species_is_worse_than_none() -> None:
    data = b"Corvus corax (Common Raven)\nPica pica\n"
    assert parse_common_names(data, ("Pica pica", "Pica pica")) == (None, None)


def test_a_literal_xd7_is_the_sign_of_a_hybrid() -> None:
    labels = ("Anas superciliosa \u00d7 platyrhynchos",)
    data = rb"Anas superciliosa \xd7 platyrhynchos (Pacific Black Duck \xd7 Mallard hybrid)"
    assert parse_common_names(data, labels) == ("Pacific Black Duck \u00d7 Mallard hybrid",)


def test_bytes_that_are_no_utf8_lose_only_their_own_name() -> None:
    data = b"Pica \xff (x)\nCorvus corax (Common Raven)"
    assert parse_common_names(data, ("Pica pica", "Corvus corax")) == (None, "Common Raven")


def test_the_length_of_a_label_set_is_its_class_count() -> None:
    assert len(LabelSet(labels=("a", "b"), common_names=(None, None))) == 2


@pytest.mark.data
def test_the_real_plain_list_is_one(test_data: Path) -> None:
    data = (test_data / "models" / "aiy-birds-v1" / "inat_bird_labels.txt").read_bytes()
    labels = parse_label_map(data)
    assert len(labels) == 965
    assert labels[0] == "Haemorhous cassinii (Cassin's Finch)"


@pytest.mark.data
def test_the_real_label_map_and_names_fit_each_other(test_data: Path) -> None:
    folder = test_data / "models" / "aiy-birds-v1"
    labels = parse_label_map((folder / "aiy_birds_V1_labelmap.csv").read_bytes())
    names = parse_common_names((folder / "inat_bird_labels.txt").read_bytes(), labels)
    assert len(labels) == 965
    assert labels[964] == "background"
    assert (labels[0], names[0]) == ("Haemorhous cassinii", "Cassin's Finch")
    assert [i for i, name in enumerate(names) if name is None] == [964]
