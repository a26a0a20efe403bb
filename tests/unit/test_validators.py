"""Validators of URLs."""

from __future__ import annotations

import pytest

from birdcli.items import Validators
from birdcli.validators import offered_validators

DIGEST = "a" * 64


def test_both_validators_make_a_request_conditional() -> None:
    validators = Validators(sha256=DIGEST, etag='W/"1"', last_modified="then")
    assert validators.request_headers() == {"If-None-Match": 'W/"1"', "If-Modified-Since": "then"}


def test_one_validator_is_enough() -> None:
    assert Validators(sha256=DIGEST, last_modified="then").request_headers() == {
        "If-Modified-Since": "then"
    }


@pytest.mark.parametrize(
    ("sha256", "etag", "last_modified"),
    [
        ("A" * 64, '"1"', None),
        ("a" * 63, '"1"', None),
        ("a" * 64 + "\n", '"1"', None),
        (DIGEST, "", None),
        (DIGEST, '"1"\r\nX: y', None),
        (DIGEST, '"\udcff"', None),
        (DIGEST, '"é"', None),
        (DIGEST, '"1"', "x" * 1025),
    ],
)
def test_values_that_would_harm_a_header_are_refused(
    sha256: str, etag: str | None, last_modified: str | None
) -> None:
    with pytest.raises(ValueError, match="no "):
        Validators(sha256=sha256, etag=etag, last_modified=last_modified)


def test_an_answer_offers_its_validators() -> None:
    headers = {"ETag": '"1"', "Last-Modified": "then", "Cache-Control": "max-age=60"}
    assert offered_validators(headers, DIGEST) == Validators(
        sha256=DIGEST, etag='"1"', last_modified="then"
    )


def test_a_harmful_validator_is_dropped_and_the_other_kept() -> None:
    headers = {"ETag": '"\udcff"', "Last-Modified": "then"}
    assert offered_validators(headers, DIGEST) == Validators(sha256=DIGEST, last_modified="then")


@pytest.mark.parametrize("headers", [{}, {"ETag": ""}, {"Last-Modified": "\udcff"}, {"Vary": "*"}])
def test_bytes_without_validators_are_known_and_cannot_be_asked_about(
    headers: dict[str, str],
) -> None:
    offered = offered_validators(headers, DIGEST)
    assert offered == Validators(sha256=DIGEST)
    assert not offered.can_ask
    assert offered.request_headers() == {}


@pytest.mark.parametrize("directives", ["no-store", "max-age=0, NO-STORE", "private,no-store "])
def test_nothing_is_offered_where_the_server_forbids_it(directives: str) -> None:
    assert offered_validators({"ETag": '"1"', "Cache-Control": directives}, DIGEST) is None
