"""Videos: their frames as image files, an index of these, a search for clips."""
