"""From a YAML file to typed options, with every problem told at once."""
