"""Prompts, templates, queries and vocabularies as vectors."""
