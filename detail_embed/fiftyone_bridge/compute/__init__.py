"""Makes an index, updates it, trains fusers on its images."""
