"""How well scores rank images for texts, and by the scale of what is looked for."""

from detail_embed.evaluation.agreement import agreement, find_hits
from detail_embed.evaluation.evaluation import Difference, Evaluation, LabelQuery
from detail_embed.evaluation.intervals import bootstrap
from detail_embed.evaluation.metrics import (
    METRICS,
    average_precision,
    measure,
    ndcg,
    r_precision,
    rank,
    recall,
)
from detail_embed.evaluation.plot import plot
from detail_embed.evaluation.table import (
    ALL,
    BINS,
    Row,
    as_dict,
    bin_names,
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
    "LabelQuery",
    "Row",
    "agreement",
    "average_precision",
    "bin_names",
    "bootstrap",
    "find_hits",
    "as_dict",
    "format_table",
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
