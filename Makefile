# The two commands: make run (the default study, on real data, to a report) and make test (every check).
.PHONY: run study test lint unit slow cluster-test bench docs lock clean help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS := .venv-docs/.ready
STUDY := $(shell sed -n 's/^study: *//p' config.yaml)
# One BLAS thread per process: processes, not threads, share the cores.
export OMP_NUM_THREADS = 1
export MKL_NUM_THREADS = 1
export OPENBLAS_NUM_THREADS = 1
export PATH := $(abspath $(BIN)):$(PATH)
export PYTHONWARNINGS = ignore::SyntaxWarning

run: $(READY) ## the default study to its report; further arguments: make run ARGS="--cores 8"
	@snakemake $(ARGS)
	@rgflow summary results/$(STUDY)

study: $(READY) ## a study of studies/ by name: make study NAME=gelu_ntk
	@snakemake --configfile studies/$(NAME).yaml $(ARGS)
	@rgflow summary results/$(NAME)

test: $(READY) lint unit ## every check but the slow ones

lint: $(READY) ## format, types, workflow
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint

unit: $(READY) ## all tests but the slow ones
	pytest -n 2 --dist loadgroup

slow: $(READY) ## the long statistical checks
	pytest -m slow

cluster-test: $(READY) ## the study on a SLURM that is started on this machine for it (Debian, root)
	tests/cluster/run.sh

bench: $(READY) ## ratios against the floors and peers, one run each
	python tests/benchmarks/run.py

docs: $(DOCS) ## the documentation as a website, in site/
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
	@echo "site/index.html"

lock: $(READY) ## pin what is installed now
	pip freeze --exclude-editable | sed 's/+cpu$$//' > envs/requirements.txt

clean: ## remove results (the environment stays)
	rm -rf results .snakemake

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

# The environment: torch first and pinned, then everything else pinned, then this package.
$(READY): envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rgflow needs Python >= 3.11, this is " + sys.version)'
	@echo "creating $(VENV) (about two minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# What the site is made with: the packages behind the configuration and the registry, none that computes.
$(DOCS): envs/docs.txt
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/pip install --quiet --disable-pip-version-check -r envs/docs.txt
	@.venv-docs/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
