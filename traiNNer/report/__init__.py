"""What a user reads of a run afterwards: the decisions of its automations."""
