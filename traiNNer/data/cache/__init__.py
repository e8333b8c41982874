"""Decoded images, kept in files that runs and processes share."""
