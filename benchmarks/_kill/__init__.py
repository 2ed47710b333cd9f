"""Parts of ``benchmarks/kill.py``."""
