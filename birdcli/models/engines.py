"""What this machine could run models with, found without importing any of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from birdcli.host import cpu_features, has_bfloat16, library_versions
from birdcli.model_version import ModelFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from birdcli.model_version import ModelVersion


class EngineName(StrEnum):
    """The engines, fastest to start first."""

    OPENVINO = "openvino"
    TENSORFLOW = "tensorflow"
    LITERT = "litert"


# Several: the first that is installed is used.
_DISTRIBUTIONS: Final = {
    EngineName.OPENVINO: ("openvino",),
    EngineName.TENSORFLOW: ("tensorflow",),
    EngineName.LITERT: ("ai-edge-litert", "tensorflow"),
}
_COMMON: Final = ("pillow", "numpy")
_HINTS: Final = {
    EngineName.OPENVINO: 'pip install "birdcli[fast]"',
    EngineName.TENSORFLOW: "pip install birdcli",
    EngineName.LITERT: 'pip install "birdcli[lite]"',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A kind of host, as far as answers depend on it.

    Attributes:
        host: CPU architecture and features.
        versions: Installed versions of the libraries that matter, by distribution.
    """

    host: str
    versions: Mapping[str, str]

    @property
    def bfloat16(self) -> bool:
        """Whether the processor computes in bfloat16."""
        return has_bfloat16(self.host)

    def has(self, engine: EngineName) -> bool:
        """Tells whether an engine is installed."""
        return any(name in self.versions for name in _DISTRIBUTIONS[engine])

    def libraries(self, engine: EngineName) -> dict[str, str]:
        """Returns the versions of the libraries that answer with an engine.

        Another engine beside it is none of a proof's business: installing it makes no proof stale.
        """
        runs = [name for name in _DISTRIBUTIONS[engine] if name in self.versions][:1]
        return {name: self.versions[name] for name in (*runs, *_COMMON) if name in self.versions}

    def can_prove(self, model_format: ModelFormat) -> bool:
        """Tells whether the engine is installed that runs the untouched models of a format.

        Others run what was prepared of them, which proves nothing by itself.
        """
        return self.has(engines_for(model_format)[-1])

    def proves(self, version: ModelVersion) -> bool:
        """Tells whether a version was proven on a machine like this one, with these libraries."""
        return any(evidence.made_by(self.host, self.versions) for evidence in version.evidence)


def engines_for(model_format: ModelFormat) -> tuple[EngineName, ...]:
    """Returns the engines that run a format, preferred first; the last runs it untouched."""
    if model_format is ModelFormat.TFLITE:
        return (EngineName.LITERT,)
    return (EngineName.OPENVINO, EngineName.TENSORFLOW)


def install_hint(engine: EngineName) -> str:
    """Returns the command that installs an engine."""
    return _HINTS[engine]


def this_machine() -> Machine:
    """Returns what is installed here."""
    names = sorted({*_COMMON, *(name for names in _DISTRIBUTIONS.values() for name in names)})
    return Machine(host=cpu_features(), versions=library_versions(*names))
