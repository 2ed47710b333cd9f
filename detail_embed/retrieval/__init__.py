"""How well scores rank images for texts, and by the scale of what is looked for."""

from .metrics import average_precision, maxsim, measure, r_precision, rank, recall
from .plot import plot
from .table import ALL, BINS, Row, format_table, table, write_csv

__all__ = [
    "ALL",
    "BINS",
    "Row",
    "average_precision",
    "format_table",
    "maxsim",
    "measure",
    "plot",
    "r_precision",
    "rank",
    "recall",
    "table",
    "write_csv",
]
