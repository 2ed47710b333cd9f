"""Operators that make, update, move and delete indexes."""
