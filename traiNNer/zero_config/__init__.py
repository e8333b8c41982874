"""From two folders to a run: inspect the data, measure the machine, decide, and say why."""
