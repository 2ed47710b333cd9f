"""The operators: forms and progress, nothing is computed here."""

from .compute_detail_embeddings import ComputeDetailEmbeddings
from .create_clver_ds import CreateClverDs

OPERATORS = (ComputeDetailEmbeddings, CreateClverDs)
