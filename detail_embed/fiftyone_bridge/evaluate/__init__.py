"""How well indexes find what labels say."""
