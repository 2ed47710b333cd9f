"""Drives files through reader, cover, backbone and fuser."""
