"""The parts of `scripts/prove_registry.py`."""
