"""A network by the protocol of published tables, beside what was published."""
