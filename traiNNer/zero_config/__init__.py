"""From two folders to a run: look at the data, measure the machine, decide, and say why."""
