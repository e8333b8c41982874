"""What zero-config measures, and the process that measures it."""
