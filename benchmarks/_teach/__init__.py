"""Parts of ``benchmarks/teach.py``."""
