"""The operators: forms and progress, nothing is computed here."""

from .compute_detail_embeddings import ComputeDetailEmbeddings
from .create_clver_ds import CreateClverDs
from .evaluate_retrieval import EvaluateRetrieval
from .search_reranked import SearchReranked

OPERATORS = (
    ComputeDetailEmbeddings,
    CreateClverDs,
    EvaluateRetrieval,
    SearchReranked,
)
