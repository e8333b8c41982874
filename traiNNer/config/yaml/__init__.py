"""Option files as text: strict YAML with lines, and its scalars and errors."""
