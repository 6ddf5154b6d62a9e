#!/usr/bin/env bash
# make cluster-test: starts a SLURM of six nodes on this machine, runs the tests of this folder on it, and stops it again.
#
# Installs slurm-wlm and munge if they are missing. Where that cannot be done it says "skipped: ..." and succeeds. Everything
# has a hard time limit, and SLURM is stopped whatever happens.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "skipped: $*"
    exit 0
}

[ "$(uname -s)" = Linux ] || skip "the cluster test needs Linux"
[ "$(id -u)" = 0 ] || skip "the cluster test starts a SLURM of its own, which needs root"
if ! command -v slurmctld slurmd munged > /dev/null; then
    command -v apt-get > /dev/null || skip "slurm-wlm and munge are not installed, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    timeout -k 5 60 apt-get update -qq || skip "no package index"
    timeout -k 5 120 apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null ||
        skip "slurm-wlm and munge cannot be installed"
fi
[ ! -e /etc/slurm/slurm.conf ] || skip "this machine has a SLURM of its own (/etc/slurm/slurm.conf)"

slurm=$(mktemp -d)
stop() {
    timeout -k 5 60 "$here/slurm.sh" stop "$slurm" || true
    rm -rf "$slurm"
}
trap stop EXIT
trap 'exit 130' INT TERM

timeout -k 5 60 "$here/slurm.sh" start "$slurm"
cd "$here/../.."
# In the background, so that a signal reaches this script while it waits.
RGFLOW_SLURM=$slurm timeout -k 10 "${LIMIT:-420}" python -m pytest -p no:cacheprovider -n 4 -v --durations=0 "$here" "$@" &
wait $!
