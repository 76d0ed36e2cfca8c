"""Experiments: from what a user's function returns to a model and data as all kinds of measurement use them."""
