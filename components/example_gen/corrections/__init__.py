"""What a reviewer found wrong: read from files, and applied to examples."""
