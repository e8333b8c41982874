"""Images in, larger images out, with the network of a weights file."""
