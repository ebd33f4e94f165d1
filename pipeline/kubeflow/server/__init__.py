"""What talks to the API server of Kubeflow Pipelines."""
