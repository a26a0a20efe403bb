"""The model `imagenet-birds` against its author's own numbers, and on real photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from birdcli.backends.freeze import freeze, to_bfloat16
from birdcli.backends.saved_model import verify_saved_model
from birdcli.backends.tensorflow import GraphSpec, load_frozen
from birdcli.hashing import sha256_of_file
from birdcli.model_version import InputSpec, OutputKind, Scale
from birdcli.models.efficientnet_lite import export_imagenet_birds
from birdcli.models.imagenet_birds import load_birds
from tests.loading import needs_openvino

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from birdcli.items import RgbBatch, RgbImage
    from birdcli.ports import Classifier

pytestmark = [pytest.mark.tensorflow, pytest.mark.xdist_group("tensorflow")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "imagenet-birds"
    export_imagenet_birds(folder)
    return folder


@pytest.fixture(scope="module")
def model(exported: Path) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(exported))


def run(model: Any, signature: str, pixels: RgbBatch) -> NDArray[np.float32]:
    import tensorflow as tf

    images = tf.constant(pixels.astype(np.float32))
    scores: NDArray[np.float32] = model.signatures[signature](images=images)[signature].numpy()
    return scores


def indices() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, column and channel of every number of a picture."""
    h, w, c = np.indices((224, 224, 3))
    return h, w, c


def slanted_stripes() -> RgbImage:
    h, w, c = indices()
    return ((3 * h + 5 * w + 7 * c) % 256).astype(np.uint8)


def rings() -> RgbImage:
    h, w, c = indices()
    return ((((h - 112) ** 2 + (w - 96) ** 2 + 40 * c) // 64) % 256).astype(np.uint8)


def chequers() -> RgbImage:
    h, w, c = indices()
    return (255 * ((h // 16 + w // 16 + c) % 2)).astype(np.uint8)


# What the author's PyTorch code answers; class id to logit.
ORACLE = [
    (
        slanted_stripes,
        {807: 6.4598, 753: 6.2509, 905: 5.3741, 729: 5.2853, 783: 5.2448, 0: 0.42923, 999: 1.10344},
    ),
    (
        rings,
        {722: 5.16, 666: 4.8204, 632: 4.8145, 818: 4.7753, 925: 4.5308, 0: -0.48959, 999: 0.98695},
    ),
    (chequers, {111: 3.673, 677: 2.8703, 549: 2.8468, 128: 2.7838, 769: 2.7758}),
]


@pytest.mark.parametrize(("draw", "expected"), ORACLE)
def test_logits_are_those_of_the_authors_pytorch_code(
    model: Any, draw: Any, expected: dict[int, float]
) -> None:
    (logits,) = run(model, "logits", draw()[None])
    found = {class_id: float(logits[class_id]) for class_id in expected}
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("draw", "expected"), ORACLE)
def test_the_five_best_classes_are_those_of_the_authors_pytorch_code(
    model: Any, draw: Any, expected: dict[int, float]
) -> None:
    (logits,) = run(model, "logits", draw()[None])
    assert np.argsort(-logits)[:5].tolist() == list(expected)[:5]


def test_mean_and_spread_of_the_logits_are_those_of_the_authors_pytorch_code(model: Any) -> None:
    (logits,) = run(model, "logits", slanted_stripes()[None])
    assert logits.shape == (1000,)
    assert float(logits.mean()) == pytest.approx(-0.06651, abs=0.01)
    assert float(logits.std()) == pytest.approx(1.32304, abs=0.01)


def test_a_picture_gets_the_same_logits_alone_and_in_a_batch(model: Any) -> None:
    pictures = np.stack([slanted_stripes(), rings(), chequers()])
    together = run(model, "logits", pictures)
    alone = np.concatenate([run(model, "logits", picture[None]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_scores_are_the_birds_softmax_then_the_sum_of_all_else(model: Any) -> None:
    pictures = np.stack([slanted_stripes(), chequers()])
    logits = run(model, "logits", pictures).astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    birds = softmax[:, [*range(7, 25), *range(80, 101), *range(127, 147)]]
    scores = run(model, "default", pictures)
    assert scores.shape == (2, 60)
    np.testing.assert_allclose(scores[:, :59], birds, atol=1e-6)
    np.testing.assert_allclose(scores[:, 59], 1.0 - birds.sum(axis=1), atol=1e-6)


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning")
def test_tensorflow_hub_loads_it(exported: Path, model: Any) -> None:
    import tensorflow_hub as hub

    scores = run(hub.load(str(exported)), "default", rings()[None])
    # TensorFlow's threads may add in another order on a busy machine: last bits, no more.
    np.testing.assert_allclose(scores, run(model, "default", rings()[None]), rtol=1e-5)


def test_its_operations_only_compute(exported: Path) -> None:
    verify_saved_model(exported, model="imagenet-birds@1")


def test_inputs_and_outputs_are_as_promised(model: Any) -> None:
    for name, classes in (("default", 60), ("logits", 1000)):
        signature = model.signatures[name]
        (images,) = signature.structured_input_signature[1].values()
        assert (images.name, images.dtype.name) == ("images", "float32")
        assert images.shape.as_list() == [None, 224, 224, 3]
        assert signature.structured_outputs[name].shape.as_list() == [None, classes]


def test_two_exports_are_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    export_imagenet_birds(tmp_path / "again")
    files = [path.name for path in exported.rglob("*")]
    assert files == ["saved_model.pb"]
    digests = {sha256_of_file(path / "saved_model.pb") for path in (exported, tmp_path / "again")}
    assert len(digests) == 1


@pytest.fixture(scope="module")
def frozen(exported: Path) -> bytes:
    spec = GraphSpec(
        model="imagenet-birds@1",
        input=InputSpec(scale=Scale.NONE),
        signature="default",
        output=OutputKind.PROBABILITIES,
    )
    return freeze(exported, spec, fold=True).data


def on_engine(engine: str, frozen: bytes) -> Classifier:
    if engine == "openvino":
        from birdcli.backends.openvino import convert_graph, load_ir

        ir = convert_graph(frozen, model="m")
        return load_ir(*ir, model="m", precision="float32", threads=2)
    halved = engine == "tensorflow in bfloat16"
    return load_frozen(
        to_bfloat16(frozen, model="m") if halved else frozen,
        model="m",
        class_count=60,
        backend=engine,
    )


@pytest.mark.parametrize(
    ("engine", "tolerance"),
    [
        ("tensorflow", 1e-4),
        ("tensorflow in bfloat16", 0.1),
        pytest.param("openvino", 1e-4, marks=needs_openvino),
    ],
)
def test_its_prepared_graph_scores_as_it_does(
    model: Any, frozen: bytes, engine: str, tolerance: float
) -> None:
    pictures = np.stack([slanted_stripes(), rings(), chequers()])
    scores = on_engine(engine, frozen).classify(pictures)
    np.testing.assert_allclose(scores, run(model, "default", pictures), atol=tolerance)


PHOTOS = {
    "14_bald_eagle.jpg": "Bald Eagle",
    "20_Junco_hyemalis.jpg": "Junco",
    "38_great_egret.JPG": "Great Egret",
    "39_mallard_head.JPG": "Drake",
    "41_robin.JPG": "American Robin",
    "44_bee-eater2.jpg": "Bee-eater",
    "47_n01580077_jay.JPEG": "Jay",
    "48_n01622779_great_grey_owl.JPEG": "Great Gray Owl",
    "49_n01806143_peacock.JPEG": "Peacock",
    "50_n01537544_indigo_bunting.JPEG": "Indigo Bunting",
    "51_n02002556_white_stork.JPEG": "White Stork",
    "52_n01820546_lorikeet.JPEG": "Lorikeet",
    "53_n01531178_goldfinch.JPEG": "Goldfinch",
    "08_pelican.png": "Pelican",
    "36_canada_goose.png": "Goose",
}


@pytest.mark.data
@pytest.mark.parametrize(("photo", "common_name"), PHOTOS.items())
def test_a_photo_of_an_imagenet_bird_is_named(
    model: Any, test_data: Path, photo: str, common_name: str
) -> None:
    with Image.open(test_data / "images" / photo) as picture:
        pixels = picture.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    names = [*(bird.common_name for bird in load_birds()), "background"]
    (scores,) = run(model, "default", np.asarray(pixels)[None])
    assert names[int(scores.argmax())] == common_name
