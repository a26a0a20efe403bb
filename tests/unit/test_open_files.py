"""Limits of open files."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from birdcli.open_files import allow_open_files

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def few() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def allowed() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_more_files_are_allowed() -> None:
    allow_open_files(300)
    assert allowed() == 300


def test_the_limit_is_never_lowered() -> None:
    allow_open_files(100)
    assert allowed() == 256


def test_no_more_are_asked_for_than_the_system_grants() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("the system grants everything")
    allow_open_files(hard + 1)
    assert allowed() == hard
