"""Where torch lives: everything that touches a live model, in the process that measures."""
