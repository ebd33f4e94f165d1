"""The pipeline on Kubeflow Pipelines v2: compiled to a spec, submitted, run in containers, collected afterwards."""
