"""Adapting an index to one's own data."""
