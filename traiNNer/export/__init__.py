"""A trained network in the forms that other programs open, each proven to compute the same."""
