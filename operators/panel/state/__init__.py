"""What the panel remembers of a browser."""
