# syntax=docker/dockerfile:1
# The image of every component on Kubeflow: `make image IMAGE=registry.example.org/flowers:TAG`.
# Pin the base with --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:...
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/flowers
RUN pip install --no-cache-dir uv==${UV_VERSION} && uv venv --python python3.13 /opt/flowers
COPY environment/requirements-image.txt /src/
RUN uv pip sync --require-hashes /src/requirements-image.txt
COPY pyproject.toml README.md local_runner.py kubeflow_runner.py /src/
COPY components /src/components
COPY pipeline /src/pipeline
RUN uv pip install --no-deps --no-build-isolation /src \
    && python -m compileall -q -j 0 /opt/flowers/lib/python3.13/site-packages/components \
        /opt/flowers/lib/python3.13/site-packages/pipeline

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="flowers-pipeline"
# TF_USE_LEGACY_KERAS and TF_ENABLE_ONEDNN_OPTS as in components/__init__.py: TFX imports TensorFlow before this
# project's code runs.
ENV PATH=/opt/flowers/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TF_USE_LEGACY_KERAS=1 \
    TF_ENABLE_ONEDNN_OPTS=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    HOME=/home/flowers \
    TFDS_DATA_DIR=/home/flowers/datasets \
    TFHUB_CACHE_DIR=/home/flowers/backbones
RUN rm -rf /usr/local/lib/python3.13/site-packages/* /usr/local/bin/pip* \
    && useradd --uid 10001 --gid 0 --create-home --home-dir /home/flowers flowers \
    && mkdir -p /home/flowers/datasets /home/flowers/backbones /gcs /minio /s3 \
    && chmod -R g=u /home/flowers /gcs /minio /s3 \
    && chown -R 10001:0 /home/flowers /gcs /minio /s3
COPY --from=build /opt/flowers /opt/flowers
WORKDIR /home/flowers
USER 10001:0
ENTRYPOINT ["python", "-m", "pipeline.kubeflow.entrypoint"]
