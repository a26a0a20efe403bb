"""The engine of one run: chosen before it, loaded when it is needed, remembered after it."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING

from birdcli.cli.context import home_folder
from birdcli.cli.installing import keep, print_line
from birdcli.errors import ModelError
from birdcli.hashing import sha256_of_bytes
from birdcli.models.engines import EngineName, this_machine
from birdcli.models.precision import Precision
from birdcli.models.variants import BATCH_SIZE, plan_variants
from birdcli.tuning import find_tuning, load_tunings, tuning_key

if TYPE_CHECKING:
    from birdcli.labels import LabelSet
    from birdcli.metrics import ColdStart
    from birdcli.model_version import ModelVersion
    from birdcli.models.load import LoadedModel
    from birdcli.output.fingerprint import Setting
    from birdcli.ports import Classifier
    from birdcli.registry import Registry


class RunEngine:
    """What runs a verified version.

    Attributes:
        loaded: The model, once it is loaded; None while no picture needed it.
        batch_size: Images in a batch at the most, unless another number is asked for.
    """

    def __init__(
        self,
        registry: Registry,
        version: ModelVersion,
        labels: LabelSet,
        *,
        engine: EngineName | None,
        precision: Precision,
        threads: int,
        people: IO[str],
        streams: int | None = None,
    ) -> None:
        """Chooses; nothing is imported yet.

        Where `birdcli bench --tune` has found what is fastest here, that is preferred, unless the
        number of streams is given.

        Raises:
            UsageError: ``usage.bad_flag`` for what the version cannot have.
            ModelError: ``model.runtime_missing``.
        """
        self.loaded: LoadedModel | None = None
        self._registry = registry
        self._version = version
        self._labels = labels
        self._machine = this_machine()
        tuned = (
            None
            if streams
            else find_tuning(
                load_tunings(home_folder()), tuning_key(version, self._machine, cpus=threads)
            )
        )
        preferred = None if tuned is None else tuned.setting
        self._plan = plan_variants(
            version,
            self._machine,
            engine=engine,
            precision=precision,
            preferred=None if preferred is None else preferred.variant,
        )
        if preferred is not None and preferred.variant != self._plan[0]:
            preferred = None  # something else was asked for
        self.batch_size = BATCH_SIZE if preferred is None else preferred.batch_size
        self._streams = streams if preferred is None else preferred.streams
        self._engine = engine
        self._precision = precision
        self._threads = threads
        self._people = people

    @property
    def backend(self) -> str:
        """Engine and precision that answer, or would."""
        variant = self._plan[0] if self.loaded is None else self.loaded.variant
        return variant.backend

    @property
    def start(self) -> ColdStart | None:
        """Where the time went until the model could answer; None while nothing needed it."""
        return None if self.loaded is None else self.loaded.start

    @property
    def fallbacks(self) -> int:
        """How many faster ways to compute failed their golden outputs."""
        return 0 if self.loaded is None else len(self.loaded.rejected)

    def answer_parts(self) -> dict[str, Setting]:
        """Returns by name what decides an answer besides the picture and the number of guesses.

        Whatever `auto` chooses is held against the same golden outputs: its answers count as equal.
        """
        return {
            "model_digest": self._version.digest,  # weights, labels, names, input and output
            "preprocessing": self._version.input.preprocessing,
            "engine": "auto" if self._engine is None else self._engine.value,
            "precision": self._precision.value,
        }

    def fingerprint(self, *, top_k: int | None = None) -> str:
        """Returns a digest of `answer_parts`, and of the number of guesses where it counts."""
        parts = self.answer_parts()
        if top_k is not None:
            parts["top_k"] = top_k
        return sha256_of_bytes(json.dumps(parts, sort_keys=True).encode())

    def load(self) -> Classifier:
        """Loads the model and holds it against its golden outputs; called once, in a thread.

        Raises:
            ModelError: See `ModelLoader.load`.
        """
        from birdcli.models.load import ModelLoader

        loader = ModelLoader(
            self._registry.version_folder(self._version),
            self._version,
            self._labels,
            self._machine,
            threads=self._threads,
            streams=self._streams,
            warn=lambda text: print_line(self._people, f"birdcli: warning: {text}"),
        )
        self.loaded = loader.load(self._plan)
        return self.loaded.classifier

    def keep(self) -> None:
        """Stores what was prepared or found out, so that the next start need not; after a run."""
        from birdcli.models.load import make_evidence

        if self.loaded is not None and (self.loaded.made or self.loaded.rejected):
            # A precision that was asked for is no proof that a faster one fails.
            free = self._precision is Precision.AUTO
            evidence = make_evidence(self._machine, self.loaded) if free else None
            try:
                keep(self._registry, self._version, evidence, self.loaded.made, self._people)
            except ModelError as err:  # removed, replaced or locked meanwhile: the records are out
                print_line(
                    self._people,
                    "birdcli: warning: what was prepared for this machine is not kept: "
                    f"{err.message}",
                )
