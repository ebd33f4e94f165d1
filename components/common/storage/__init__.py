"""Where things are kept: locks, S3, and what a serving folder holds."""
