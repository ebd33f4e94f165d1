"""Compiles, submits and collects the flowers pipeline on Kubeflow: `python kubeflow_runner.py --help`."""

from pipeline.kubeflow.cli import main

if __name__ == "__main__":
    main()
