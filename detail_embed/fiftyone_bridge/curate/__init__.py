"""What is done with scores: classes, tags, duplicates, outliers."""
