"""One module for each kind of measurement. This code runs in forked processes and imports torch."""
