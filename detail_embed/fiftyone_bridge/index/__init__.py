"""What an index is: names, record, vectors, brain runs."""
