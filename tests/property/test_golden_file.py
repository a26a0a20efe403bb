"""Any bytes are golden outputs or a `ModelError`, never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from birdcli.errors import ErrorCode, ModelError
from birdcli.models.golden import GoldenOutputs, decode_golden, encode_golden

WHOLE = encode_golden(
    GoldenOutputs(
        scores=np.random.RandomState(3).dirichlet(np.ones(7), 8).astype(np.float32),
        names=(("Pica pica", "Larus canus", "a", "b", "c"),) * 8,
        png_sha256="0123456789abcdef" * 4,
    )
)


def decoded(data: bytes) -> GoldenOutputs | ErrorCode:
    try:
        return decode_golden(data)
    except ModelError as err:
        return err.code


def check(data: bytes) -> None:
    found = decoded(data)
    if isinstance(found, GoldenOutputs):
        assert np.isfinite(found.scores).all()
        assert [len(row) for row in found.names] == [5] * 8
    else:
        assert found is ErrorCode.MODEL_LOAD_FAILED


# A damaged header may be one of Python 2, or hold an escape that Python frowns on.
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6
    ),
    end=st.integers(len(WHOLE) - 200, len(WHOLE)),
)
def test_damaged_files_are_refused(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(WHOLE)
    for offset, value in changes:
        data[offset] = value
    check(bytes(data))
    check(bytes(data[:end]))
