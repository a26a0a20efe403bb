from __future__ import annotations

import pytest
from multidict import CIMultiDict
from yarl import URL

from birdcli.models.editions import Edition, continued_length, offered_edition, rest_headers

URL_1 = URL("https://storage.example/a/b.tar.gz?X-Goog-Signature=first")
URL_2 = URL("https://storage.example/a/b.tar.gz?X-Goog-Signature=second")
CHANGED = "Tue, 14 Nov 2023 22:13:40 GMT"
ADDRESS = "a" * 64


def offered(length: int | None = 100, url: URL = URL_1, **headers: str) -> Edition | None:
    return offered_edition(url, named(headers), length)


def named(headers: dict[str, str]) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})


def known(length: int | None = 100, etag: str = '"1"') -> Edition:
    edition = offered(length, ETag=etag)
    assert edition is not None
    return edition


def rest(
    content_range: str, headers: dict[str, str] | None = None, edition: Edition | None = None
) -> int | None:
    answer = {"Content_Range": content_range, "ETag": '"1"', **(headers or {})}
    return continued_length(edition or known(), 40, URL_2, named(answer))


@pytest.mark.parametrize("etag", ['"1"', '""', '"a,b/!~#"', f'"{"x" * 1022}"'])
def test_a_strong_etag_tells_editions(etag: str) -> None:
    edition = offered(ETag=etag, Last_Modified=CHANGED)
    assert edition is not None
    assert edition.validator == etag


@pytest.mark.parametrize(
    "etag", ['W/"1"', "1", '"', "", '"a"b"', '"\n"', '"ä"', '"a b"', f'"{"x" * 1023}"']
)
def test_any_other_etag_tells_nothing_whatever_the_date(etag: str) -> None:
    assert offered(ETag=etag, Last_Modified=CHANGED, Date="Tue, 14 Nov 2023 23:13:40 GMT") is None


@pytest.mark.parametrize(
    ("answered", "settled"),
    [
        ("Tue, 14 Nov 2023 22:14:40 GMT", True),
        ("Tue, 14 Nov 2023 22:14:39 GMT", False),  # may still have changed within its second
        ("Tue, 14 Nov 2023 22:13:00 GMT", False),
        ("Tue, 14 Nov 2023 23:13:40 +0000", False),
        ("Tue, 99 Nov 2023 23:13:40 GMT", False),
        ("", False),
    ],
)
def test_a_date_tells_editions_once_it_has_settled(answered: str, settled: bool) -> None:
    edition = offered(Last_Modified=CHANGED, Date=answered)
    assert (None if edition is None else edition.validator) == (CHANGED if settled else None)


def test_an_answer_without_validators_tells_nothing() -> None:
    assert offered(Date=CHANGED) is None


def test_a_coded_body_has_other_offsets() -> None:
    assert offered(ETag='"1"', Content_Encoding="gzip") is None


def test_an_empty_file_cannot_be_continued() -> None:
    assert offered(0, ETag='"1"') is None


def test_a_new_signature_is_the_same_edition_and_another_path_is_not() -> None:
    assert offered(url=URL_1, ETag='"1"') == offered(url=URL_2, ETag='"1"')
    assert offered(url=URL_1, ETag='"1"') != offered(url=URL_1.with_path("/c"), ETag='"1"')
    assert offered(url=URL_1, ETag='"1"') != offered(url=URL_1.with_host("b"), ETag='"1"')


def test_the_rest_is_asked_for_with_the_validator() -> None:
    assert rest_headers(known(), 40) == {"Range": "bytes=40-", "If-Range": '"1"'}


def test_the_rest_of_the_same_edition_continues_it() -> None:
    assert rest("bytes 40-99/100") == 100


def test_a_length_that_was_unknown_is_learned() -> None:
    assert rest("bytes 40-99/100", edition=known(None)) == 100


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes 39-99/100",
        "bytes 41-99/100",
        "bytes 0-99/100",
        "bytes 40-98/100",
        "bytes 40-100/100",
        "bytes 40-100/101",
        "bytes 40-99/*",
        "bytes */100",
        "bytes 40-39/40",
        "bytes 40-99/100, 1-2/100",
        "items 40-99/100",
        "bytes 40-99/99999999999999999999",
        "bytes -40-99/100",
        "bytes \u0664\u0660-99/100",
    ],
)
def test_another_range_does_not(content_range: str) -> None:
    assert rest(content_range) is None


@pytest.mark.parametrize(
    "headers", [{"ETag": '"2"'}, {"ETag": 'W/"1"'}, {"ETag": ""}, {"Content_Encoding": "gzip"}]
)
def test_another_edition_does_not(headers: dict[str, str]) -> None:
    assert rest("bytes 40-99/100", headers) is None


def test_a_vanished_validator_does_not() -> None:
    answer = named({"Content_Range": "bytes 40-99/100"})
    assert continued_length(known(), 40, URL_1, answer) is None


def test_another_address_does_not() -> None:
    answer = named({"Content_Range": "bytes 40-99/100", "ETag": '"1"'})
    assert continued_length(known(), 40, URL("https://mirror.example/"), answer) is None


@pytest.mark.parametrize(
    ("validator", "address", "length"),
    [
        ('"1"\r\nX-Evil: 1', ADDRESS, 1),
        ('W/"1"', ADDRESS, 1),
        (f"{CHANGED}\n", ADDRESS, 1),
        ('"1"', "a", 1),
        ('"1"', ADDRESS.upper(), 1),
        ('"1"', ADDRESS, 0),
        ('"1"', ADDRESS, -1),
    ],
)
def test_what_no_answer_says_is_no_edition(validator: str, address: str, length: int) -> None:
    with pytest.raises(ValueError, match="no "):
        Edition(validator=validator, address=address, length=length)
