"""The operator that measures retrieval."""
