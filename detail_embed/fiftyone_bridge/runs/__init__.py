"""A long run: its steps, lock, progress and end."""
