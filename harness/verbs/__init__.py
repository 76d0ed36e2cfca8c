"""The verbs of the command line, a module each, and what they share: with `cli` the only places that print."""
