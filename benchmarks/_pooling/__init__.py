"""The parts of benchmarks/pooling.py."""
