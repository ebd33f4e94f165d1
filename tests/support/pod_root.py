"""Runs a container's command with the launcher's folders (/minio, /s3, /gcs) below another root than /.

Usage: pod_root.py ROOT -m MODULE ARGUMENT...
"""

import runpy
import sys


def run(root: str, words: list[str]) -> None:
    """Runs `-m MODULE ARGUMENT...` in this process."""
    from pipeline.kubeflow import executor_input

    _, module, *arguments = words
    for scheme, folder in executor_input.LOCAL_FOLDERS.items():
        executor_input.LOCAL_FOLDERS[scheme] = f"{root}{folder}"
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
