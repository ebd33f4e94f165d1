"""The command line of `local_runner.py`."""
