"""Operators that search."""
