"""Pure functions without a home of their own."""
