"""What a run says: screen, log, records, TensorBoard."""
