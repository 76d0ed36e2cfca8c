"""A trial as one file that needs no harness, and the text of an issue around it."""
