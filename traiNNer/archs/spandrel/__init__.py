"""Community architectures: the network classes of spandrel, so that what is trained here opens wherever spandrel is."""
