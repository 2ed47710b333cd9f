"""How well scores rank images for texts, and by the scale of what is looked for."""

from .agreement import agreement, find_hits
from .evaluation import Difference, Evaluation, Query
from .intervals import bootstrap
from .metrics import (
    METRICS,
    average_precision,
    maxsim,
    maxsim_batch,
    measure,
    ndcg,
    r_precision,
    rank,
    recall,
)
from .plot import plot
from .table import (
    ALL,
    BINS,
    Row,
    bin_names,
    flat,
    format_table,
    measure_by_scale,
    table,
    title,
    to_csv,
    write_csv,
)

__all__ = [
    "ALL",
    "BINS",
    "METRICS",
    "Difference",
    "Evaluation",
    "Query",
    "Row",
    "agreement",
    "average_precision",
    "bin_names",
    "bootstrap",
    "find_hits",
    "flat",
    "format_table",
    "maxsim",
    "maxsim_batch",
    "measure",
    "measure_by_scale",
    "ndcg",
    "plot",
    "r_precision",
    "rank",
    "recall",
    "table",
    "title",
    "to_csv",
    "write_csv",
]
