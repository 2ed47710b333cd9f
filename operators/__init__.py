"""The operators: forms and progress, nothing is computed here."""

from .classify_by_prompts import ClassifyByPrompts
from .compute_detail_embeddings import ComputeDetailEmbeddings
from .create_clver_ds import CreateClverDs
from .delete_index import DeleteIndex
from .evaluate_retrieval import EvaluateRetrieval
from .export_vectors import ExportVectors
from .find_near_duplicates import FindNearDuplicates
from .find_outliers import FindOutliers
from .import_vectors import ImportVectors
from .manage_fusers import ManageFusers
from .map_embeddings import MapEmbeddings
from .panel import DetailSearch
from .rename_index import RenameIndex
from .report_long_tail import ReportLongTail
from .search_by_prompts import SearchByPrompts
from .search_reranked import SearchReranked
from .show_where import ShowWhere
from .tag_hits import TagHits
from .train_fuser import TrainFuser
from .update_index import UpdateIndex

OPERATORS = (
    ClassifyByPrompts,
    ComputeDetailEmbeddings,
    CreateClverDs,
    DeleteIndex,
    EvaluateRetrieval,
    ExportVectors,
    FindNearDuplicates,
    FindOutliers,
    ImportVectors,
    ManageFusers,
    MapEmbeddings,
    RenameIndex,
    ReportLongTail,
    SearchByPrompts,
    SearchReranked,
    ShowWhere,
    TagHits,
    TrainFuser,
    UpdateIndex,
)

PANELS = (DetailSearch,)
