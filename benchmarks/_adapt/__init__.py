"""Parts of ``benchmarks/adapt.py``."""
