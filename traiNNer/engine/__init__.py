"""Trains and tests a model: runtime, steps, automations' control, checkpoints, evaluation, log."""
