#!/usr/bin/env bash
# Snakemake runs this, in the folder of the Snakefile, once it has made the environment of rgflow.yaml.
set -euo pipefail
python -m pip install --quiet --no-deps --editable .
