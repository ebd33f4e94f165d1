"""Compiles, submits and collects the flowers pipeline on Kubeflow: `python kubeflow_runner.py --help`."""

from pipeline.kubeflow.command_line import main

if __name__ == "__main__":
    main()
