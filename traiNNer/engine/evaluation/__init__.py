"""Scores of whole images: validation during training, and test."""
