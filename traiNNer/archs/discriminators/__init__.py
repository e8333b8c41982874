"""Networks that judge images instead of upscaling them, for `network_d`."""
