"""Files and folders: whole or not there, chunks, Parquet."""
