"""The one gateway to samples, fields and the database."""
