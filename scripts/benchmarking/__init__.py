"""What scripts/benchmark.py and scripts/bench_gate.py are made of."""
