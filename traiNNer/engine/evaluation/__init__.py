"""Scores whole images: validation during training, and test."""
