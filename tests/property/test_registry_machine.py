"""Any sequence of changes leaves a registry that agrees with a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from birdcli.errors import ErrorCode, ModelError
from scripts.registry_proof.faults import find_litter
from scripts.registry_proof.placeholder import EVIDENCE, install, open_registry

ALIASES = st.sampled_from(["production", "canary"])
VERSIONS = st.sampled_from(["1", "2", "3", "4"])
WEIGHTS = st.sampled_from([b"a", b"b"])


class RegistryMachine(RuleBasedStateMachine):
    """The registry beside dictionaries: weights by version, and a stack of targets by alias."""

    @initialize()
    def open(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.registry = open_registry(self.home)
        self.installed: dict[str, bytes] = {}
        self.targets: dict[str, list[str]] = {}
        self.promoted: dict[tuple[str, str], bytes] = {}
        self.changes = 0

    def teardown(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    @rule(version=VERSIONS, weights=WEIGHTS)
    def install(self, version: str, weights: bytes) -> None:
        model = f"birds@{version}"
        if self.installed.get(model, weights) != weights:
            with pytest.raises(ModelError) as caught:
                install(self.registry, "birds", version, weights=weights)
            assert caught.value.code is ErrorCode.MODEL_EXISTS
        else:
            install(self.registry, "birds", version, weights=weights)
            self.installed[model] = weights
            self.changes += 1

    @rule(version=VERSIONS, alias=ALIASES)
    def promote(self, version: str, alias: str) -> None:
        model = f"birds@{version}"
        if model not in self.installed:
            with pytest.raises(ModelError) as caught:
                self.registry.resolve(model)
            assert caught.value.code is ErrorCode.MODEL_NOT_FOUND
            return
        before = self.registry.promote(
            self.registry.resolve(model), EVIDENCE, alias=alias, note="", who="me"
        )
        targets = self.targets.setdefault(alias, [])
        assert before == (targets[-1] if targets else None)
        if targets[-1:] != [model]:
            targets.append(model)
        self.promoted[alias, model] = self.installed[model]
        self.changes += 1

    @rule(version=VERSIONS, graphs=st.sets(st.sampled_from("abcdefghij"), max_size=4))
    def prepare(self, version: str, graphs: set[str]) -> None:
        model = f"birds@{version}"
        if model not in self.installed:
            return
        known = {entry.path for entry in self.registry.resolve(model).prepared}
        made = {f"prepared/{name}": name.encode() for name in sorted(graphs)}
        after = self.registry.keep_proof(self.registry.resolve(model), None, made, who="me")
        assert made.keys() <= {entry.path for entry in after.prepared}
        self.changes += bool(made.keys() - known)

    @rule(alias=ALIASES)
    def roll_back(self, alias: str) -> None:
        targets = self.targets.get(alias, [])
        if len(targets) < 2 or self._is_gone(alias, targets[-2]):
            with pytest.raises(ModelError) as caught:
                self.registry.rollback_target(alias)
            expected = (
                ErrorCode.MODEL_NO_PREVIOUS if len(targets) < 2 else ErrorCode.MODEL_NOT_INSTALLED
            )
            assert caught.value.code is expected
            return
        target = self.registry.rollback_target(alias)
        left = self.registry.rollback(target, EVIDENCE, alias=alias, note="", who="me")
        assert (left, target.id) == (targets.pop(), targets[-1])
        self.changes += 1

    def _is_gone(self, alias: str, model: str) -> bool:
        """Whether a version is no longer here, or another one by its name."""
        return self.installed.get(model) != self.promoted[alias, model]

    @rule(version=VERSIONS)
    def remove(self, version: str) -> None:
        model = f"birds@{version}"
        pointed = any(targets[-1] == model for targets in self.targets.values())
        if model not in self.installed or pointed:
            with pytest.raises(ModelError) as caught:
                self.registry.remove(model, note="", who="me")
            wanted = ErrorCode.MODEL_IN_USE if pointed else ErrorCode.MODEL_NOT_INSTALLED
            assert caught.value.code is wanted
        else:
            self.registry.remove(model, note="", who="me")
            del self.installed[model]
            self.changes += 1

    @rule(alias=ALIASES)
    def remove_alias(self, alias: str) -> None:
        if alias in self.targets:
            assert self.registry.remove_alias(alias, note="", who="me") == self.targets[alias][-1]
            del self.targets[alias]
            self.changes += 1

    @rule()
    def prune(self) -> None:
        needed = {model for targets in self.targets.values() for model in targets}
        removed = {
            version.id for version in self.registry.prune(default="", note="", who="me").removed
        }
        assert removed == self.installed.keys() - needed
        for model in removed:
            del self.installed[model]
        self.changes += len(removed)

    @invariant()
    def agrees(self) -> None:
        reader = open_registry(self.home)  # as another process would see it
        manifest = reader.load()
        assert {v.id for v in manifest.versions if v.installed} == self.installed.keys()
        assert manifest.aliases == {alias: ids[-1] for alias, ids in self.targets.items()}
        for alias, ids in self.targets.items():
            assert reader.alias_target(alias) == ids[-1]
        for version in manifest.versions:
            if version.installed:
                reader.verify_files(version)
        assert len(reader.history()) == self.changes
        assert find_litter(self.home) == []


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
