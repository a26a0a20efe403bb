"""Local models: install, list, verify, promote, roll back, resolve."""

from birdcli.registry.plans import PRODUCTION as PRODUCTION
from birdcli.registry.reader import load_builtin_manifest as load_builtin_manifest
from birdcli.registry.registry import Registry as Registry
