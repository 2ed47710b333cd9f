"""Teaching an index: what a person judged, what it learns, what to judge next."""
