"""Search by prompts and examples, compared and remembered."""
