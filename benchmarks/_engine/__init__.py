"""Parts of the benchmark of the engine."""
