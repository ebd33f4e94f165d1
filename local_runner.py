"""Runs the flowers pipeline on this machine: `python local_runner.py --help`."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main()
