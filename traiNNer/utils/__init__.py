"""Small helpers that know nothing of training: files, resizing, tiles, colors, processes."""
