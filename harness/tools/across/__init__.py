"""Two runs held against each other, and the history of many."""
