"""What was fastest when it was measured, per kind of host and model, in `tuning.json`."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from birdcli import __version__
from birdcli.errors import ErrorCode, OutputError
from birdcli.files import atomic_writer
from birdcli.models.engines import EngineName  # noqa: TC001 - msgspec reads annotations at run time
from birdcli.models.variants import Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from birdcli.model_version import ModelVersion
    from birdcli.models.engines import Machine

TUNING_FILE: Final = "tuning.json"

_log = logging.getLogger(__name__)

_MOST_BYTES: Final = 1_000_000
_LEAST_GAIN: Final = 1.03
_Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
_Rate = Annotated[float, msgspec.Meta(gt=0)]


class TuningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a measurement holds for; where any of it differs, it says nothing.

    Attributes:
        host: CPU architecture and features.
        cpus: CPUs that were used.
        model: Digest of the version.
        versions: Libraries by distribution, and birdcli's own.
    """

    host: str
    cpus: _Count
    model: str
    versions: dict[str, str]

    def replaces(self, other: TuningKey) -> bool:
        """Tells whether only libraries differ: nobody goes back to the old ones."""
        return (self.host, self.cpus, self.model) == (other.host, other.cpus, other.model)


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way to run a model.

    Attributes:
        engine: The engine.
        precision: As `Variant.precision`.
        batch_size: Images in a batch at the most.
        streams: Batches at once.
    """

    engine: EngineName
    precision: str
    batch_size: _Count
    streams: _Count

    @property
    def variant(self) -> Variant:
        """Engine and precision."""
        return Variant(engine=self.engine, precision=self.precision)


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The outcome of one measurement.

    Attributes:
        key: What it holds for.
        name: The model, for people.
        setting: What was fastest.
        images_per_s: How fast, from disk to records.
        default_images_per_s: How fast without it.
        at: When, ISO 8601.
    """

    key: TuningKey
    name: str
    setting: Setting
    images_per_s: _Rate
    default_images_per_s: _Rate
    at: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schema: Annotated[int, msgspec.Meta(ge=1, le=1)]
    tunings: tuple[Tuning, ...]


def tuning_key(version: ModelVersion, machine: Machine, *, cpus: int) -> TuningKey:
    """Returns what a measurement of an installed version would hold for, here and now."""
    return TuningKey(
        host=machine.host,
        cpus=cpus,
        model=version.digest,
        versions={**machine.versions, "birdcli": __version__},
    )


def find_tuning(tunings: Sequence[Tuning], key: TuningKey) -> Tuning | None:
    """Returns the measurement that holds for a key."""
    return next((tuning for tuning in tunings if tuning.key == key), None)


def with_tuning(tunings: Sequence[Tuning], new: Tuning) -> tuple[Tuning, ...]:
    """Returns the measurements with a new one, without those it replaces."""
    return (*(tuning for tuning in tunings if not new.key.replaces(tuning.key)), new)


def load_tunings(home: Path) -> tuple[Tuning, ...]:
    """Returns what is remembered below a home folder.

    A file that is damaged or of another program costs a warning: without it, everything works.
    """
    path = home / TUNING_FILE
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is no regular file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise msgspec.ValidationError("it is larger than a megabyte")
        return msgspec.json.decode(data, type=_File).tunings
    except FileNotFoundError:
        return ()
    except OSError as err:
        reason = err.strerror or str(err)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        reason = str(err)
    _log.warning(
        "%s cannot be used, so defaults are: %s (birdcli bench --tune makes it anew)", path, reason
    )
    return ()


def remember_tuning(home: Path, tuning: Tuning) -> None:
    """Writes a measurement beside those that hold for other hosts and models.

    Raises:
        OutputError: ``output.unwritable``.
    """
    path = home / TUNING_FILE
    tunings = with_tuning(load_tunings(home), tuning)
    data = msgspec.json.format(msgspec.json.encode(_File(schema=1, tunings=tunings)))
    try:
        home.mkdir(parents=True, exist_ok=True)
        with atomic_writer(path) as out:
            out.write(data + b"\n")
    except OSError as err:
        raise OutputError(
            ErrorCode.OUTPUT_UNWRITABLE,
            f"{os.fspath(path)} cannot be written: {err.strerror or err}",
        ) from err


def best_setting(rates: Mapping[Setting, Sequence[float]], *, default: Setting) -> Setting:
    """Decides which setting to remember.

    Args:
        rates: Images per second of each setting, as many interleaved rounds each.
        default: What runs without a measurement.

    Returns:
        The fastest, if it was faster than the default in every single round and by 3 % in the
        middle one; else the default: a difference within the noise is none.
    """
    return max(
        (setting for setting in rates if _clearly_faster(rates[setting], rates[default])),
        key=lambda setting: _middle(rates[setting]),
        default=default,
    )


def _clearly_faster(rates: Sequence[float], default: Sequence[float]) -> bool:
    gains = [rate / other for rate, other in zip(rates, default, strict=True)]
    return min(gains) > 1.0 and _middle(gains) >= _LEAST_GAIN


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
