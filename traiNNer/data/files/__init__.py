"""Which image files belong to a set: folders, pairs, lists, hold-out, headers, fingerprint."""
