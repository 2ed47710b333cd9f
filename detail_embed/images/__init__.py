"""Image files to upright RGB pixels."""
