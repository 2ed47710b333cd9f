"""Operators that train and manage fusers."""
