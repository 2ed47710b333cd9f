"""The operator that adapts a model to one's own images and words."""
