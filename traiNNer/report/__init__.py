"""What a user reads of a run afterwards."""
