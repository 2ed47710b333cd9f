"""The operator that makes a synthetic dataset."""
