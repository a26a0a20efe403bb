"""What looks like a list of inputs."""

from __future__ import annotations

import pytest

from birdcli.list_likeness import looks_like_header, looks_like_list


@pytest.mark.parametrize(
    "data",
    [
        b"http://a/1\nhttps://a/2\n",
        b"# birds\n\nphotos/a.jpg\nphotos/B.JPG\n",
        b"id,url\n1,http://a/1\n2,http://a/2\n",
        b'{"url": "http://a/1"}\n{"url": "http://a/2"}\n',
        b"http://a/1\r\n" * 10_000,
    ],
)
def test_lines_of_urls_and_pictures_are_a_list(data: bytes) -> None:
    assert looks_like_list(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"http://a/1\n",
        b"Some words.\nSee http://a/1\nand http://a/2\nand more.\n",
        b"\xff\xfe\x00binary\nmore\n",
    ],
)
def test_other_text_is_no_list(data: bytes) -> None:
    assert not looks_like_list(data)


@pytest.mark.parametrize("line", [b"id,url", b'\xef\xbb\xbf"URL", "id"\r', b"image,caption"])
def test_names_of_columns_are_a_header(line: bytes) -> None:
    assert looks_like_header(line)


@pytest.mark.parametrize("line", [b"", b"url", b"http://a/?x=1,2", b"photos/a,b.jpg", b"id,name"])
def test_other_lines_are_no_header(line: bytes) -> None:
    assert not looks_like_header(line)
