"""Short, commented option files for usual purposes, and files of other frameworks as ours."""
