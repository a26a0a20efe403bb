"""Whether two names stand for the same species."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from birdcli.items import Prediction
    from birdcli.labels import LabelSet

_SUBSPECIES_WORDS: Final = 3  # genus, species, subspecies; a hybrid has four, with its sign


def place_of(species: str, guesses: Sequence[Prediction]) -> int | None:
    """Returns the rank of the first guess that is right, from 1, or None if none is.

    A guess is right if the species is its label or its English name. Case, surrounding space and
    how accents are composed make no difference. The label of a subspecies (three words) is right
    for its species (the first two) as well; the label of a species is not for a subspecies.

    Args:
        species: What the photo shows.
        guesses: Best first.
    """
    key = _key(species)
    for place, guess in enumerate(guesses, start=1):
        if key in _right_keys(guess.label, guess.common_name):
            return place
    return None


def unknown_species(labels: LabelSet, species: Iterable[str]) -> tuple[str, ...]:
    """Returns the species that no class of a model is right for, each once, in order."""
    known: set[str] = set()
    for label, common_name in zip(labels.labels, labels.common_names, strict=True):
        known |= _right_keys(label, common_name)
    return tuple(dict.fromkeys(name for name in species if _key(name) not in known))


def share_common_names(label_sets: Sequence[LabelSet]) -> list[LabelSet]:
    """Returns label sets in which a label has an English name if it has one in any of them.

    A model that was added without names would otherwise be wrong about every species that is
    called by its English name, however right its labels are.
    """
    known: dict[str, str] = {}
    for labels in label_sets:
        for label, name in zip(labels.labels, labels.common_names, strict=True):
            if name is not None:
                known.setdefault(_key(label), name)
    return [
        dataclasses.replace(
            labels,
            common_names=tuple(
                name or known.get(_key(label))
                for label, name in zip(labels.labels, labels.common_names, strict=True)
            ),
        )
        for labels in label_sets
    ]


def same_class(one: Prediction, other: Prediction) -> bool:
    """Tells whether guesses of two models share a name, be it the label or the English one."""
    return bool(_keys(one.label, one.common_name) & _keys(other.label, other.common_name))


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip()).casefold()


def _keys(label: str, common_name: str | None) -> set[str]:
    return {_key(label)} | ({_key(common_name)} if common_name else set())


def _right_keys(label: str, common_name: str | None) -> set[str]:
    words = label.split()
    species = {_key(" ".join(words[:2]))} if len(words) == _SUBSPECIES_WORDS else set()
    return _keys(label, common_name) | species
