"""A run on this machine: the runner, its workspace, logs, recovery and console."""
