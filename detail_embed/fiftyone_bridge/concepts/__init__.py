"""What a dataset keeps of what it was taught: concepts, which are prompts by name."""
