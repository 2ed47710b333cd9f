"""Operators that classify, tag, report and clean."""
