"""`trainner audit`: looks at a set of images, says what is wrong with it, and writes a list without it."""
