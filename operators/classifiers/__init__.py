"""Operators of classifiers that are trained on labels."""
