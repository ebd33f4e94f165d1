"""The commands of `local_runner.py`, one module each."""
