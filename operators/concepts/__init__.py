"""The operators of concepts."""
