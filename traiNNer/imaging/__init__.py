"""Image files: read, write, headers; used by data, test, audit and upscaling alike."""
