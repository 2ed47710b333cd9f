"""Vectors to and from Parquet files."""
