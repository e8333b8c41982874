"""Tells how a run goes: screen, log file, records, TensorBoard."""
