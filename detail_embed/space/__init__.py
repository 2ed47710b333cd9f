"""An embedding space: backbone, cover and fuser as one thing."""
