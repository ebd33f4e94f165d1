"""A run on this machine: the runner, its lock, logs, recovery and what it prints."""
