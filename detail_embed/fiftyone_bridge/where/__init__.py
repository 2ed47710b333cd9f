"""Where in an image a query matches."""
