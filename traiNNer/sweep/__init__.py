"""Several runs of one option file with other values, and their comparison."""
