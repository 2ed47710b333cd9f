"""The operators: forms and progress, nothing is computed here."""

from .adapt.adapt_backbone import AdaptBackbone
from .adapt.manage_adapted_models import ManageAdaptedModels
from .classifiers.apply_classifier import ApplyClassifier
from .classifiers.manage_classifiers import ManageClassifiers
from .classifiers.train_classifier import TrainClassifier
from .concepts.manage_concepts import ManageConcepts
from .concepts.teach_concept import TeachConcept
from .curate.classify_by_prompts import ClassifyByPrompts
from .curate.find_mistaken_labels import FindMistakenLabels
from .curate.find_near_duplicates import FindNearDuplicates
from .curate.find_outliers import FindOutliers
from .curate.map_embeddings import MapEmbeddings
from .curate.report_long_tail import ReportLongTail
from .curate.select_diverse_subset import SelectDiverseSubset
from .curate.tag_hits import TagHits
from .demo.create_clver_ds import CreateClverDs
from .evaluate.evaluate_retrieval import EvaluateRetrieval
from .fusers.manage_fusers import ManageFusers
from .fusers.train_fuser import TrainFuser
from .index.clean_features import CleanFeatures
from .index.compute_detail_embeddings import ComputeDetailEmbeddings
from .index.delete_index import DeleteIndex
from .index.export_vectors import ExportVectors
from .index.import_vectors import ImportVectors
from .index.index_videos import IndexVideos
from .index.rename_index import RenameIndex
from .index.update_index import UpdateIndex
from .panel import DetailSearch
from .search.open_detail_search import OpenDetailSearch
from .search.search_by_prompts import SearchByPrompts
from .search.search_reranked import SearchReranked
from .search.show_attention import ShowAttention
from .search.show_where import ShowWhere

OPERATORS = (
    AdaptBackbone,
    ApplyClassifier,
    ClassifyByPrompts,
    CleanFeatures,
    ComputeDetailEmbeddings,
    CreateClverDs,
    DeleteIndex,
    EvaluateRetrieval,
    ExportVectors,
    FindMistakenLabels,
    FindNearDuplicates,
    FindOutliers,
    ImportVectors,
    IndexVideos,
    ManageAdaptedModels,
    ManageClassifiers,
    ManageConcepts,
    ManageFusers,
    MapEmbeddings,
    OpenDetailSearch,
    RenameIndex,
    ReportLongTail,
    SearchByPrompts,
    SearchReranked,
    SelectDiverseSubset,
    ShowAttention,
    ShowWhere,
    TagHits,
    TeachConcept,
    TrainClassifier,
    TrainFuser,
    UpdateIndex,
)

PANELS = (DetailSearch,)
