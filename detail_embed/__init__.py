"""Find small things in big pictures: detail-injected CLIP embeddings."""

__version__ = "0.1.0"
