"""Whatever stops a run, and wherever: in the end every input has exactly one record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from birdcli.output.fingerprint import load_fingerprint
from birdcli.settings import Retry
from tests.output_runs import answered, keys_in, keys_of, refs, refused, run_into

if TYPE_CHECKING:
    from birdcli.items import ImageRef, Outcome

SOURCES = st.lists(
    st.sampled_from(["a.jpg", "b.jpg", "c\udcff.jpg", "https://u:p@h/", "https://u:q@h/", "\ud800"])
    | st.text(max_size=5),
    max_size=12,
)
STOPS = st.lists(
    st.tuples(
        st.integers(0, 12),  # inputs done before it stops
        st.integers(0, 3000),  # bytes that did not reach the disk
        st.binary(max_size=40),  # what stands there instead
        st.sampled_from(list(Retry)),
        st.booleans(),  # whether the end of the run was reached
    ),
    max_size=4,
)


def outcome_of(ref: ImageRef) -> Outcome:
    return refused(ref, retryable=ref.index % 3 == 0) if ref.index % 2 else answered(ref)


@settings(deadline=None, max_examples=60)
@given(SOURCES, STOPS, st.randoms(use_true_random=False))
def test_every_input_ends_with_exactly_one_record(
    sources: list[str],
    stops: list[tuple[int, int, bytes, Retry, bool]],
    random: object,
) -> None:
    inputs = refs(sources)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.jsonl"
        for stop_after, lost, garbage, retry, finish in stops:
            run_into(
                path, inputs, retry=retry, stop_after=stop_after, outcome=outcome_of, finish=finish
            )
            # Without a fingerprint nothing was written yet, so nothing can be torn.
            if not finish and b"\n" not in garbage and load_fingerprint(path) is not None:
                content = path.read_bytes()
                kept = max(len(content) - lost, 0)
                # Without a whole record only what may be ours is continued.
                known = b"\n" in content[:kept]
                path.write_bytes(content[:kept] + (garbage if known else bytes(len(garbage))))
            random.shuffle(inputs)  # type: ignore[attr-defined] # a random.Random
        run_into(path, inputs)
        fingerprint = load_fingerprint(path)
        assert fingerprint is not None
        assert keys_in(path) == keys_of(inputs, fingerprint.salt)
