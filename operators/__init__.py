"""The operators: forms and progress, nothing is computed here."""

from .compute_detail_embeddings import ComputeDetailEmbeddings
from .create_clver_ds import CreateClverDs
from .evaluate_retrieval import EvaluateRetrieval
from .manage_fusers import ManageFusers
from .panel import DetailSearch
from .search_reranked import SearchReranked
from .show_where import ShowWhere
from .train_fuser import TrainFuser

OPERATORS = (
    ComputeDetailEmbeddings,
    CreateClverDs,
    EvaluateRetrieval,
    ManageFusers,
    SearchReranked,
    ShowWhere,
    TrainFuser,
)

PANELS = (DetailSearch,)
