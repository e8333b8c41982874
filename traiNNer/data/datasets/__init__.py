"""Datasets: (index, generator) to a sample, one kind per file."""
