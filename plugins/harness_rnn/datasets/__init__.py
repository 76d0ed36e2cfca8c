"""Sequences to classify."""
