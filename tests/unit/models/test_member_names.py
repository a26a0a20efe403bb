from __future__ import annotations

import pytest

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.member_names import MemberTree, archive_unsafe, split_member_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("saved_model.pb", ("saved_model.pb",)),
        ("./variables/variables.index", ("variables", "variables.index")),
        ("variables//a/", ("variables", "a")),
        (".", ()),
        ("./", ()),
        ("..data/x..y", ("..data", "x..y")),
        ("Küken.txt", ("Küken.txt",)),
    ],
)
def test_harmless_names_become_parts(name: str, parts: tuple[str, ...]) -> None:
    assert split_member_name(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "//server/share",
        "../x",
        "a/../../x",
        "a/..",
        "..",
        "C:/x",
        "c:x",
        "a:stream",
        "..\\x",
        "a\\b",
        "\\\\server\\share",
        "a\nb",
        "a\x00b",
        "\x1b[2Jx",
        "a\udcffb",
        "a\u202eb",
        "x" * 256,
        "é" * 128,
        "/".join(["d" * 200] * 6),
    ],
)
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        split_member_name(name)
    assert caught.value.code == ErrorCode.MODEL_ARCHIVE_UNSAFE


def test_a_refusal_names_the_member_without_its_control_characters() -> None:
    error = archive_unsafe("\x1b[2Jx\udcff", "is bad")
    assert "\\x1b[2Jx\\udcff" in error.message
    assert error.message.isprintable()
    assert dict(error.details)["member"] == "\\x1b[2Jx\\udcff"


def test_a_refusal_cuts_very_long_names() -> None:
    assert len(archive_unsafe("x" * 100_000, "is bad").message) < 300


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/x", "a/x"),
        ("a/x", "./a//x"),
        ("Labels.csv", "labels.csv"),
        ("Variables/a", "variables/b"),
        ("stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("\u00c9/a", "e\u0301/b"),
    ],
)
def test_files_that_meet_on_some_file_system_are_refused(first: str, second: str) -> None:
    tree = MemberTree(10)
    tree.add(first, is_folder=False)
    with pytest.raises(ModelError, match=r"twice|spelling"):
        tree.add(second, is_folder=False)


def test_a_folder_listed_twice_is_refused() -> None:
    tree = MemberTree(10)
    tree.add("a/", is_folder=True)
    with pytest.raises(ModelError, match="twice"):
        tree.add("a", is_folder=True)


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_name_is_not_both_file_and_folder(is_folder: bool) -> None:
    tree = MemberTree(10)
    tree.add("a" if is_folder else "a/b", is_folder=False)
    with pytest.raises(ModelError, match="file and a folder"):
        tree.add("a", is_folder=is_folder)


def test_nothing_is_put_below_a_file() -> None:
    tree = MemberTree(10)
    tree.add("a", is_folder=False)
    with pytest.raises(ModelError, match="file and a folder"):
        tree.add("a/b", is_folder=False)


def test_a_folder_may_be_listed_after_its_files() -> None:
    tree = MemberTree(10)
    tree.add("a/b", is_folder=False)
    assert tree.add("a/", is_folder=True) == ("a",)


def test_a_root_folder_is_no_member() -> None:
    assert MemberTree(0).add("./", is_folder=True) == ()


def test_a_file_needs_a_name() -> None:
    with pytest.raises(ModelError, match="without a name"):
        MemberTree(10).add("./", is_folder=False)


def test_implied_folders_count_as_members() -> None:
    tree = MemberTree(3)
    tree.add("a/b/c", is_folder=False)
    with pytest.raises(ModelError, match="at most 3"):
        tree.add("d", is_folder=False)
