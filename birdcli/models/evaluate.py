"""Installed models on photos, one model at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from birdcli.classifier import top_k
from birdcli.decode import ignore_library_warnings
from birdcli.errors import InferenceError, ItemError
from birdcli.evaluation import TOP_K, EvaluationRun, grade
from birdcli.items import ErrorInfo
from birdcli.local import read_file
from birdcli.models.engines import this_machine
from birdcli.models.load import ModelLoader, load_labels, model_decoder
from birdcli.models.variants import plan_variants
from birdcli.settings import FetchSettings
from birdcli.species import share_common_names
from birdcli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from birdcli.evaluation import Answer
    from birdcli.items import RgbImage
    from birdcli.labelled_photos import PhotoList
    from birdcli.labels import LabelSet
    from birdcli.model_version import ModelVersion
    from birdcli.models.variants import Variant
    from birdcli.ports import Classifier
    from birdcli.registry import Registry

BATCH_SIZE: Final = 8
_DECODED_AHEAD: Final = 2 * BATCH_SIZE  # keeps the threads busy while the engine works
_MAX_BYTES: Final = FetchSettings().max_bytes


def classify_files(
    paths: Iterable[str],
    classifier: Classifier,
    labels: LabelSet,
    decode: Callable[[bytes], RgbImage],
    *,
    threads: int,
) -> Iterator[Answer]:
    """Yields the answer to each file, in order; memory does not grow with their number.

    Args:
        paths: Files; a path may come more than once.
        classifier: A loaded model.
        labels: Its class names.
        decode: Encoded bytes to pixels, as the model wants them; called in threads.
        threads: Files read and decoded at once.

    Yields:
        The first three guesses, or why the file cannot be read, decoded or classified.
    """
    ignore_library_warnings()
    upcoming = iter(paths)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="birdcli-evaluate")
    try:
        waiting = deque(
            pool.submit(_load_pixels, path, decode) for path in islice(upcoming, _DECODED_AHEAD)
        )
        while waiting:
            batch = [waiting.popleft().result() for _ in range(min(BATCH_SIZE, len(waiting)))]
            waiting.extend(
                pool.submit(_load_pixels, path, decode) for path in islice(upcoming, len(batch))
            )
            yield from _classify_loaded(batch, classifier, labels)
    finally:
        pool.shutdown(cancel_futures=True)


def _load_pixels(path: str, decode: Callable[[bytes], RgbImage]) -> RgbImage | ErrorInfo:
    try:
        return decode(read_file(path, max_bytes=_MAX_BYTES))
    except ItemError as err:
        return ErrorInfo.from_error(err)


def _classify_loaded(
    batch: Sequence[RgbImage | ErrorInfo], classifier: Classifier, labels: LabelSet
) -> Iterator[Answer]:
    pictures = [item for item in batch if not isinstance(item, ErrorInfo)]
    answers = iter(_classify_batch(pictures, classifier, labels) if pictures else ())
    for item in batch:
        yield item if isinstance(item, ErrorInfo) else next(answers)


def _classify_batch(
    pictures: Sequence[RgbImage], classifier: Classifier, labels: LabelSet
) -> list[Answer]:
    try:
        scores = classifier.classify(np.stack(pictures))
    except InferenceError as err:
        if len(pictures) == 1:
            return [ErrorInfo.from_error(err)]
        # one picture must not cost the others their answers
        return [a for picture in pictures for a in _classify_batch([picture], classifier, labels)]
    answers: list[Answer] = []
    for row in scores:
        try:
            answers.append(top_k(row, labels, TOP_K))
        except InferenceError as err:
            answers.append(ErrorInfo.from_error(err))
    return answers


def ask_models(
    registry: Registry,
    versions: Sequence[ModelVersion],
    paths: Sequence[str],
    *,
    threads: int,
    say: Callable[[str], None],
) -> list[tuple[LabelSet, tuple[Answer, ...]]]:
    """Shows the same photos to installed versions, one after the other.

    Every byte of all of them is hashed before the first one is loaded, and each has to reproduce
    its golden outputs. They compute as `classify` does by default.

    Args:
        registry: Where the versions are.
        versions: Which ones.
        paths: The photos.
        threads: CPUs to use.
        say: Takes what is being done, for people.

    Returns:
        The class names of each version, with its answers in the order of the photos.

    Raises:
        ModelError: ``model.not_installed``, ``model.sha256_mismatch``, ``model.golden_mismatch`` or
            why a version cannot be loaded.
    """
    for version in versions:
        registry.verify_files(version)
    shared = share_common_names(
        [load_labels(registry.version_folder(version), version) for version in versions]
    )
    found = []
    for version, labels in zip(versions, shared, strict=True):
        say(f"showing {counted(len(paths), 'photo')} to {version.id}")
        folder = registry.version_folder(version)
        machine = this_machine()
        loader = ModelLoader(folder, version, labels, machine, threads=threads, warn=say)
        plan = plan_variants(version, machine)
        found.append((labels, _ask_model(loader, plan, version, labels, paths, threads)))
    return found


def _ask_model(
    loader: ModelLoader,
    plan: Sequence[Variant],
    version: ModelVersion,
    labels: LabelSet,
    paths: Sequence[str],
    threads: int,
) -> tuple[Answer, ...]:
    """A function of its own, so that a model is gone before the next one is loaded."""
    classifier = loader.load(plan).classifier
    decode = model_decoder(version)
    return tuple(classify_files(paths, classifier, labels, decode, threads=threads))


def run_evaluation(
    registry: Registry,
    candidate: ModelVersion,
    production: ModelVersion | None,
    photos: PhotoList,
    *,
    threads: int,
    say: Callable[[str], None],
) -> EvaluationRun:
    """Shows labelled photos to a candidate and to the model it would follow.

    Args:
        registry: Where both are.
        candidate: An installed version.
        production: Another one, the same one, or None.
        photos: What to show them.
        threads: CPUs to use.
        say: Takes what is being done, for people.

    Raises:
        ModelError: See `ask_models`.
    """
    versions = [version for version in (candidate, production) if version is not None]
    paths = [photo.path for photo in photos.photos]
    graded = [
        grade(version.id, labels, photos, answers)
        for version, (labels, answers) in zip(
            versions, ask_models(registry, versions, paths, threads=threads, say=say), strict=True
        )
    ]
    return EvaluationRun(
        photos=photos,
        candidate=graded[0],
        production=None if production is None else graded[1],
    )
