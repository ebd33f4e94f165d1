"""Runs a container's command with the launcher's folders (/minio, /s3, /gcs) below another root than /.

Usage: pod_root.py ROOT -m MODULE ARGUMENT...
"""

import runpy
import sys

from pipeline.kubeflow.container import executor_input

root, _, module, *arguments = sys.argv[1:]
for scheme, folder in executor_input.LOCAL_FOLDERS.items():
    executor_input.LOCAL_FOLDERS[scheme] = f"{root}{folder}"
sys.argv[1:] = arguments
runpy.run_module(module, run_name="__main__", alter_sys=True)
