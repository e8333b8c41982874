"""The reference of every option, from the option tree itself: Markdown and JSON schema."""
