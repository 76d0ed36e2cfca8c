"""Optimizations: changes of the training step."""
