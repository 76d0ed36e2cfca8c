"""What one may do to a training step."""
