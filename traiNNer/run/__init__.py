"""From checked options to a run: every object built, what may go wrong tried before; knows nothing of argv."""
