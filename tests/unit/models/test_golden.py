"""Each part of the golden outputs fails on its own, and says where."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from birdcli.decode import decode_image
from birdcli.errors import DecodeError, ErrorCode, InferenceError, ModelError
from birdcli.labels import LabelSet
from birdcli.model_version import OutputKind
from birdcli.models.golden import (
    GoldenOutputs,
    decode_golden,
    encode_golden,
    load_shipped_golden,
    make_golden,
    make_golden_inputs,
    verify_golden,
)
from birdcli.models.pixel_files import make_pixel_files
from birdcli.models.probes import PROBE_NAMES, make_probes
from birdcli.settings import DecodeSettings

if TYPE_CHECKING:
    from birdcli.items import RgbBatch, RgbImage, ScoreBatch
    from birdcli.models import golden as module

SIZE = 64
CLASSES = 9
LABELS = LabelSet(
    labels=tuple(f"Species {i}" for i in range(CLASSES)), common_names=(None,) * CLASSES
)
INPUTS = make_golden_inputs(SIZE, SIZE)
Change = Callable[[np.ndarray], np.ndarray]


class LinearClassifier:
    """A classifier that sees colour, place and scale."""

    backend = "fake/float32"
    class_count = CLASSES
    streams = 1

    def __init__(
        self, *, pixels: Change | None = None, scores: Change | None = None, classes: int = CLASSES
    ) -> None:
        random = np.random.RandomState(1)
        self._weights = random.normal(0, 4.0, (8 * 8 * 3, classes))
        self._pixels, self._scores = pixels, scores

    def classify(self, pixels: RgbBatch) -> ScoreBatch:
        seen = pixels if self._pixels is None else self._pixels(pixels)
        blocks = seen.reshape(len(seen), 8, SIZE // 8, 8, SIZE // 8, 3).mean(axis=(2, 4)) / 255.0
        logits = blocks.reshape(len(seen), -1) @ self._weights / 8
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)
        return scores if self._scores is None else self._scores(scores)


def decode(data: bytes) -> RgbImage:
    return decode_image(data, DecodeSettings(height=SIZE, width=SIZE)).pixels


@pytest.fixture(scope="module")
def golden() -> GoldenOutputs:
    return make_golden(LinearClassifier(), LABELS, decode, height=SIZE, width=SIZE)


def verify(
    golden: GoldenOutputs,
    classifier: LinearClassifier | None = None,
    *,
    labels: LabelSet = LABELS,
    decoder: Callable[[bytes], RgbImage] = decode,
    output: OutputKind = OutputKind.PROBABILITIES,
    factor: float = 1.0,
) -> module.GoldenReport:
    return verify_golden(
        golden,
        classifier or LinearClassifier(),
        labels,
        decoder,
        inputs=INPUTS,
        output=output,
        factor=factor,
    )


def mismatch(golden: GoldenOutputs, part: str, **changes: object) -> ModelError:
    with pytest.raises(ModelError) as caught:
        verify(golden, **changes)  # type: ignore[arg-type]
    assert caught.value.code is ErrorCode.MODEL_GOLDEN_MISMATCH
    assert dict(caught.value.details)["part"] == part
    return caught.value


def test_the_same_classifier_reproduces_them(golden: GoldenOutputs) -> None:
    assert verify(golden).deviation < 1e-5


def test_probes_are_the_same_every_time_and_all_differ() -> None:
    probes = make_probes(SIZE, SIZE)
    assert probes.shape == (len(PROBE_NAMES), SIZE, SIZE, 3)
    assert probes.dtype == np.uint8
    np.testing.assert_array_equal(probes, make_probes(SIZE, SIZE))
    assert len({probe.tobytes() for probe in probes}) == len(PROBE_NAMES)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: p[..., ::-1], id="bgr"),
        pytest.param(lambda p: p[:, :, ::-1], id="mirrored"),
        pytest.param(lambda p: p[:, ::-1], id="upside down"),
        pytest.param(lambda p: np.rot90(p, 1, (1, 2)), id="rotated"),
        pytest.param(lambda p: p // 2, id="half scale"),
        pytest.param(lambda p: 2.0 * p - 255.0, id="symmetric scale"),
        pytest.param(lambda p: p.mean(axis=-1, keepdims=True).repeat(3, -1), id="grey"),
    ],
)
def test_wrong_pixels_move_the_scores_beyond_the_tolerance(
    golden: GoldenOutputs, change: Change
) -> None:
    error = mismatch(golden, "scores", classifier=LinearClassifier(pixels=change))
    assert dict(error.details)["probe"] in PROBE_NAMES
    assert "nat off" in error.message


def shifted(nat: float, probes: slice) -> Change:
    def change(scores: np.ndarray) -> np.ndarray:
        moved = np.log(scores.astype(np.float64))
        signs = np.resize([1.0, -1.0], CLASSES) - np.resize([1.0, -1.0], CLASSES).mean()
        signs /= np.sqrt((signs**2).mean())
        if len(scores) == len(PROBE_NAMES):
            moved[probes] += nat * signs
        return np.exp(moved)

    return change


@pytest.mark.parametrize(("nat", "fine"), [(0.20, True), (0.22, False)])
def test_one_probe_may_deviate_by_its_bound(golden: GoldenOutputs, nat: float, fine: bool) -> None:
    clear = GoldenOutputs(  # margins of nothing: only the bound decides
        scores=golden.scores, names=golden.names, png_sha256=golden.png_sha256
    )
    classifier = LinearClassifier(scores=shifted(nat, slice(6, 7)))
    if fine:
        assert verify(clear, classifier).deviation == pytest.approx(nat, abs=1e-3)
    else:
        assert (
            "0.220 nat off, 0.21 allowed"
            in mismatch(clear, "scores", classifier=classifier).message
        )


def test_all_probes_together_have_a_tighter_bound(golden: GoldenOutputs) -> None:
    classifier = LinearClassifier(scores=shifted(0.16, slice(None)))
    assert "on average" in mismatch(golden, "scores", classifier=classifier).message


def test_the_factor_widens_the_bounds(golden: GoldenOutputs) -> None:
    classifier = LinearClassifier(scores=shifted(0.16, slice(None)))
    assert verify(golden, classifier, factor=2.0).mean_deviation == pytest.approx(0.16, abs=1e-3)


def test_another_best_class_is_found_where_the_margin_is_clear(golden: GoldenOutputs) -> None:
    def swap(scores: np.ndarray) -> np.ndarray:
        changed = scores.copy()
        best = changed[6].argsort()[::-1][:2]
        # Both near their mean: a small change of log-probability that swaps first and second.
        changed[6, best] = changed[6, best[::-1]]
        return changed

    wide = np.array(golden.scores)
    first, second = wide[6].argsort()[::-1][:2]
    wide[6, first], wide[6, second] = 0.30, 0.195  # ln(0.30 / 0.195) = 0.431 nat
    expected = GoldenOutputs(scores=wide, names=golden.names, png_sha256=golden.png_sha256)

    def answer(scores: np.ndarray) -> np.ndarray:
        return swap(wide)

    names = tuple(
        tuple(LABELS.labels[i] for i in np.argsort(-row, kind="stable")[:5]) for row in wide
    )
    expected = GoldenOutputs(scores=wide, names=names, png_sha256=golden.png_sha256)
    error = mismatch(expected, "scores", classifier=LinearClassifier(scores=answer))
    assert f"not 'Species {first}'" in error.message


def test_a_score_that_is_no_number_is_a_mismatch(golden: GoldenOutputs) -> None:
    def poison(scores: np.ndarray) -> np.ndarray:
        return np.where(np.arange(CLASSES) == 3, np.nan, scores)

    mismatch(golden, "scores", classifier=LinearClassifier(scores=poison))
    with pytest.raises(ModelError, match="not a number"):
        make_golden(LinearClassifier(scores=poison), LABELS, decode, height=SIZE, width=SIZE)


def test_another_number_of_classes_is_a_mismatch(golden: GoldenOutputs) -> None:
    error = mismatch(golden, "scores", classifier=LinearClassifier(classes=CLASSES - 1))
    assert "8 classes instead of 9" in error.message


def test_an_engine_that_refuses_the_probes_is_a_mismatch(golden: GoldenOutputs) -> None:
    def refuse(pixels: np.ndarray) -> np.ndarray:
        raise InferenceError(ErrorCode.INFERENCE_FAILED, "refused")

    mismatch(golden, "scores", classifier=LinearClassifier(pixels=refuse))


def test_labels_of_another_model_are_a_mismatch_of_names(golden: GoldenOutputs) -> None:
    labels = LabelSet(labels=("Pica pica",), common_names=(None,))
    assert "1 labels for" in mismatch(golden, "names", labels=labels).message


def test_swapped_labels_are_a_mismatch_of_names(golden: GoldenOutputs) -> None:
    best = int(golden.scores[0].argmax())
    swapped = list(LABELS.labels)
    swapped[best], swapped[(best + 1) % CLASSES] = swapped[(best + 1) % CLASSES], swapped[best]
    labels = LabelSet(labels=tuple(swapped), common_names=(None,) * CLASSES)
    error = mismatch(golden, "names", labels=labels)
    assert f"not 'Species {best}'" in error.message


def wrong_channels(data: bytes) -> RgbImage:
    return np.ascontiguousarray(decode(data)[..., ::-1])


def dark_jpeg(data: bytes) -> RgbImage:
    return decode(data) - np.uint8(2) if data[:2] == b"\xff\xd8" else decode(data)


def clipped_16_bit(data: bytes) -> RgbImage:
    with Image.open(io.BytesIO(data)) as image:
        return np.full_like(decode(data), 255) if image.mode.startswith("I") else decode(data)


def without_orientation(data: bytes) -> RgbImage:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((SIZE, SIZE)))


@pytest.mark.parametrize(
    ("decoder", "file"),
    [
        (wrong_channels, "png"),
        (dark_jpeg, "jpeg"),
        (clipped_16_bit, "16-bit png"),
    ],
)
def test_a_wrong_decoder_is_a_mismatch_of_pixels(
    golden: GoldenOutputs, decoder: Callable[[bytes], RgbImage], file: str
) -> None:
    error = mismatch(golden, "pixels", decoder=decoder)
    assert dict(error.details)["file"] == file


def test_an_ignored_orientation_is_a_mismatch_of_pixels() -> None:
    blind = make_golden(LinearClassifier(), LABELS, without_orientation, height=SIZE, width=SIZE)
    error = mismatch(blind, "pixels", decoder=without_orientation)
    assert dict(error.details)["file"] == "jpeg with EXIF 6"


def test_a_decoder_that_refuses_a_file_is_a_mismatch_of_pixels(golden: GoldenOutputs) -> None:
    def refuse(data: bytes) -> RgbImage:
        raise DecodeError(ErrorCode.DECODE_UNSUPPORTED, "no codec")

    assert "no codec" in mismatch(golden, "pixels", decoder=refuse).message


def test_the_generated_files_are_what_they_are_called() -> None:
    files = make_pixel_files()
    opened = {name: Image.open(io.BytesIO(data)) for name, data in files.items()}
    assert [image.format for image in opened.values()] == ["PNG", "JPEG", "JPEG", "PNG"]
    assert opened["jpeg with EXIF 6"].getexif()[0x0112] == 6
    assert opened["16-bit png"].mode == "I;16"
    assert opened["png"].size == (720, 480)


def test_what_is_written_is_read_back(golden: GoldenOutputs) -> None:
    again = decode_golden(encode_golden(golden))
    np.testing.assert_array_equal(again.scores, golden.scores)
    assert (again.names, again.png_sha256) == (golden.names, golden.png_sha256)
    assert encode_golden(golden) == encode_golden(again)


def test_rows_that_are_not_one_per_picture_are_a_mismatch(golden: GoldenOutputs) -> None:
    def twice(scores: np.ndarray) -> np.ndarray:
        return np.concatenate([scores, scores])

    message = mismatch(golden, "scores", classifier=LinearClassifier(scores=twice)).message
    assert "16 rows for 8 pictures" in message


@pytest.mark.parametrize("output", [OutputKind.PROBABILITIES, OutputKind.PROBABILITIES_8BIT])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_expected_scores_that_are_no_numbers_are_never_reproduced(
    golden: GoldenOutputs, poison: float, output: OutputKind
) -> None:
    scores = np.full_like(golden.scores, poison)
    names = (LABELS.labels[:5],) * len(PROBE_NAMES)
    forged = GoldenOutputs(scores=scores, names=names, png_sha256=golden.png_sha256)
    mismatch(forged, "scores", output=output)


@pytest.mark.parametrize(("model", "classes"), [("aiy-birds-v1@1", 965), ("imagenet-birds@1", 60)])
def test_built_in_models_ship_their_values(model: str, classes: int) -> None:
    shipped = load_shipped_golden(model)
    assert shipped is not None
    assert shipped.scores.shape == (8, classes)
    assert shipped.scores.dtype == np.float32
    np.testing.assert_allclose(shipped.scores.sum(axis=1), 1.0, atol=1e-3)


def test_the_shipped_values_of_the_tflite_file_lie_on_its_steps() -> None:
    shipped = load_shipped_golden("aiy-birds-lite@3")
    assert shipped is not None
    assert shipped.scores.shape == (8, 965)
    np.testing.assert_array_equal(shipped.scores * 256, np.rint(shipped.scores * 256))


def test_other_models_have_no_shipped_values() -> None:
    assert load_shipped_golden("my-birds@1") is None


def eight_bit(change: Change = lambda steps: steps) -> LinearClassifier:
    """Scores in steps of 1/256; `change` moves the steps where all probes come at once."""

    def rounded(scores: np.ndarray) -> np.ndarray:
        steps = np.rint(scores * 256)
        moved = change(steps.copy()) if len(steps) == len(PROBE_NAMES) else steps
        return (moved / 256).astype(np.float32)

    return LinearClassifier(scores=rounded)


@pytest.fixture(scope="module")
def coarse() -> GoldenOutputs:
    return make_golden(eight_bit(), LABELS, decode, height=SIZE, width=SIZE)


def moved_steps(steps: int, *, rank: int = 0, probe: int = 6) -> Change:
    def change(scores: np.ndarray) -> np.ndarray:
        scores[probe, np.argsort(-scores[probe], kind="stable")[rank]] += steps
        return scores

    return change


@pytest.mark.parametrize("steps", [0, 2, -2])
def test_8_bit_scores_may_deviate_by_two_steps(coarse: GoldenOutputs, steps: int) -> None:
    report = verify(coarse, eight_bit(moved_steps(steps)), output=OutputKind.PROBABILITIES_8BIT)
    assert report.deviation == pytest.approx(abs(steps) / 256, abs=1e-6)


def test_a_third_step_is_named_with_its_probe_and_class(coarse: GoldenOutputs) -> None:
    best = int(coarse.scores[6].argmax())
    error = mismatch(
        coarse,
        "scores",
        classifier=eight_bit(moved_steps(3)),
        output=OutputKind.PROBABILITIES_8BIT,
    )
    assert "probe 'discs' is 3/256 off, 2/256 allowed" in error.message
    assert f"class {best}, +3/256" in error.message


def test_8_bit_scores_beyond_the_best_five_are_not_compared(coarse: GoldenOutputs) -> None:
    verify(coarse, eight_bit(moved_steps(9, rank=8)), output=OutputKind.PROBABILITIES_8BIT)


def test_8_bit_scores_with_another_best_class_are_refused(coarse: GoldenOutputs) -> None:
    """It comes from beyond the best five, where nothing else would see it."""
    clear = int((np.sort(coarse.scores, axis=1)[:, -1] - np.sort(coarse.scores)[:, -2]).argmax())
    error = mismatch(
        coarse,
        "scores",
        classifier=eight_bit(moved_steps(250, rank=8, probe=clear)),
        output=OutputKind.PROBABILITIES_8BIT,
    )
    assert PROBE_NAMES[clear] in error.message
    assert " not " in error.message


@pytest.mark.parametrize("change", [lambda p: p[..., ::-1], lambda p: p[:, ::-1], lambda p: p // 2])
def test_wrong_pixels_move_8_bit_scores_beyond_the_tolerance(
    coarse: GoldenOutputs, change: Change
) -> None:
    classifier = eight_bit()
    classifier._pixels = change
    mismatch(coarse, "scores", classifier=classifier, output=OutputKind.PROBABILITIES_8BIT)
