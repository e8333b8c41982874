"""What was done to a folder of low-quality images, estimated from the images alone."""
