"""From a YAML file to typed options, with every problem reported at once."""
