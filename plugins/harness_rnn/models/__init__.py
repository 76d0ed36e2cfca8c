"""Recurrent models."""
