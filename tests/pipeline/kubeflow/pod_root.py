"""Runs a container's command with the launcher's folders (/minio, /s3, /gcs) below another root than /.

Usage: pod_root.py ROOT -m MODULE ARGUMENT...

Most pods are forks of one process that has imported TFX: twenty cold starts take minutes.
"""

import importlib
import multiprocessing
import os
import runpy
import sys
from pathlib import Path

_PRELOADED = ("tfx.components", "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor", "pipeline.graph")


def run(root: str, words: list[str]) -> None:
    """Runs `-m MODULE ARGUMENT...` in this process."""
    from pipeline.kubeflow import executor_input

    _, module, *arguments = words
    for scheme, folder in executor_input.LOCAL_FOLDERS.items():
        executor_input.LOCAL_FOLDERS[scheme] = f"{root}{folder}"
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def run_forked(root: str, words: list[str], variables: dict[str, str], log_path: str) -> int:
    """Runs the same in a fork of a process that has imported what containers import; returns its exit status."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    process = context.Process(target=_run_in_fork, args=(root, words, variables, log_path))
    process.start()
    process.join()
    return process.exitcode or 0


def _run_in_fork(root: str, words: list[str], variables: dict[str, str], log_path: str) -> None:
    import components

    with Path(log_path).open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.clear()
    os.environ.update(variables)
    # Sets variables of its own when it is imported.
    importlib.reload(components)
    os.chdir(root)
    run(root, words)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
