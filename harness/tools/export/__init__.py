"""Export a trial as one Python file that runs without the harness, or as the text of an issue."""
