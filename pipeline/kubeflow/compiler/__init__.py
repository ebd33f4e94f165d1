"""From the pipeline to a spec that Kubeflow Pipelines runs."""
