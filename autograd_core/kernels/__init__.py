"""Loops over arrays: they know nothing of ops or tensors."""
