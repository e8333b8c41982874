"""What a run saves and restores, and whether a run may be resumed."""
