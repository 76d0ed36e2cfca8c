"""Findings as tables of text; one module for each kind of finding."""
