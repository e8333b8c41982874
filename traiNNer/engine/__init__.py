"""Runs a model: devices, steps, validation, checkpoints, the log."""
