"""An embedding space: backbone, cover and fuser as one thing."""

from detail_embed.space.detail_embedder import DetailEmbedder
from detail_embed.space.embed_files import EmbedResult
from detail_embed.space.embedding_space import EmbeddingSpace

__all__ = ["DetailEmbedder", "EmbedResult", "EmbeddingSpace"]
