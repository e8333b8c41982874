"""`trainner audit`: checks a set of images, reports what is wrong with it, and writes a list without it."""
