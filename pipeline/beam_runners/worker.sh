#!/bin/sh
# What a Flink task manager executes to start a Python worker (Beam's PROCESS environment takes one executable).
exec "${WORKER_PYTHON:-python3}" -m pipeline.beam_runners.worker "$@"
