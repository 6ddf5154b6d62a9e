#!/usr/bin/env bash
# A SLURM of six nodes on this one machine, for tests: no systemd, cgroups or accounting, its own munge, its own ports.
#
#   slurm.sh start DIR    writes configuration, state and logs below DIR; ready in about two seconds
#   slurm.sh stop DIR     ends all jobs and daemons that were started for DIR; does nothing the second time
#
# Partitions: cpu (nodes n1, n2), gpu (n1, two GPUs that are only scheduled: torch sees none), frail (n3, a node to lose), low
# and high (n4): a job in high preempts those in low, which are requeued; wide (n5, n6). Needs root and Debian's packages slurm-wlm and
# munge. Refuses to touch a machine that has a SLURM configuration of its own.
set -euo pipefail

readonly CONFIG=/etc/slurm
readonly CLUSTER=rgflowtest
readonly NODES="n1 n2 n3 n4 n5 n6"

fail() {
    echo "slurm.sh: $*" >&2
    exit 1
}

start() {
    [ "$(id -u)" = 0 ] || fail "must be root"
    command -v slurmctld slurmd munged sinfo > /dev/null || fail "slurm-wlm and munge are not installed"
    [ ! -e $CONFIG/slurm.conf ] && [ ! -L $CONFIG/slurm.conf ] || fail "$CONFIG/slurm.conf exists: stop that SLURM first"
    mkdir -p "$dir"/{state,spool,log,run,dev} $CONFIG
    for node in $NODES; do mkdir -p "$dir/spool/$node"; done
    write_configuration
    ln -s "$dir/slurm.conf" "$dir/gres.conf" $CONFIG/
    trap 'stop' ERR
    start_munge
    slurmctld -c
    for node in $NODES; do slurmd -N "$node"; done
    await_idle
    trap - ERR
    sinfo -N -o '%N %T %c %m %G %P'
}

write_configuration() {
    local host cpus memory
    host=$(hostname -s)
    cpus=$(nproc --all) # without --all it would count OMP_NUM_THREADS
    memory=$(($(awk '/MemTotal/{print $2}' /proc/meminfo) / 1024 / 2))
    for i in 0 1; do # devices to schedule must be character devices; these two are as empty as /dev/null
        [ -e "$dir/dev/gpu$i" ] || mknod "$dir/dev/gpu$i" c 1 3
    done
    cat > "$dir/gres.conf" << END
AutoDetect=off
NodeName=n1 Name=gpu Count=2 File=$dir/dev/gpu[0-1]
END
    # cred_expire: a requeued job waits that long, by default two minutes.
    # MinJobAge keeps finished jobs visible to squeue longer than Snakemake's longest pause between two looks (180 s).
    cat > "$dir/slurm.conf" << END
ClusterName=$CLUSTER
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobs.txt
MinJobAge=600
KillWait=2
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
GresTypes=gpu
DefMemPerCPU=500
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=$cpus RealMemory=$memory Gres=gpu:2 State=UNKNOWN
END
    local number
    for number in 2 3 4 5 6; do
        echo "NodeName=n$number NodeHostname=$host NodeAddr=127.0.0.1 Port=1700$number CPUs=$cpus RealMemory=$memory State=UNKNOWN"
    done >> "$dir/slurm.conf"
    cat >> "$dir/slurm.conf" << END
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=01:00:00 DefaultTime=00:10:00 State=UP
PartitionName=gpu Nodes=n1 MaxTime=01:00:00 DefaultTime=00:10:00 State=UP
PartitionName=frail Nodes=n3 MaxTime=01:00:00 DefaultTime=00:10:00 State=UP
PartitionName=low Nodes=n4 MaxTime=01:00:00 DefaultTime=00:10:00 PriorityTier=1 State=UP
PartitionName=wide Nodes=n5,n6 MaxTime=01:00:00 DefaultTime=00:10:00 State=UP
PartitionName=high Nodes=n4 MaxTime=01:00:00 DefaultTime=00:10:00 PriorityTier=2 PreemptMode=OFF State=UP
END
}

start_munge() {
    (umask 077 && head -c 128 /dev/urandom > "$dir/run/munge.key")
    # --force: the directory may lie below a world-writable /tmp
    munged --force --socket="$dir/run/munge.socket" --key-file="$dir/run/munge.key" --pid-file="$dir/run/munged.pid" \
        --log-file="$dir/log/munged.log" --seed-file="$dir/run/munge.seed" 2> "$dir/log/munged.err"
}

await_idle() {
    for _ in $(seq 100); do
        [ "$(timeout -k 1 5 sinfo -h -N -o %T 2> /dev/null | sort -u)" = idle ] && return
        sleep 0.2
    done
    fail "the nodes did not come up; see $dir/log"
}

stop() {
    local name
    if running slurmctld; then
        timeout -k 1 10 scancel --user=root --state=PENDING || true
        timeout -k 1 10 scancel --user=root --signal=KILL || true
        for _ in $(seq 25); do # steps end before the daemons that watch them
            [ -z "$(timeout -k 1 5 squeue -h -t RUNNING,COMPLETING 2> /dev/null)" ] && break
            sleep 0.2
        done
    fi
    end slurmctld
    for name in $NODES; do end "slurmd.$name"; done
    end munged
    end_jobs
    for name in slurm.conf gres.conf; do
        if [ "$(readlink $CONFIG/$name)" = "$dir/$name" ]; then rm $CONFIG/$name; fi
    done
}

running() { # whether the daemon NAME of this directory lives; a process id that was given to another program does not count
    local pid
    pid=$(cat "$dir/run/$1.pid" 2> /dev/null) && [ "$(cat "/proc/$pid/comm" 2> /dev/null)" = "${1%%.*}" ]
}

end_jobs() { # what jobs left behind when their node was declared lost; every process of a job knows its cluster
    local process
    for process in /proc/[0-9]*; do
        if grep -zqx "SLURM_CLUSTER_NAME=$CLUSTER" "$process/environ" 2> /dev/null; then
            kill -KILL "${process#/proc/}" 2> /dev/null || true
        fi
    done
}

end() { # ask, wait three seconds, then insist
    running "$1" || return 0
    local pid
    pid=$(cat "$dir/run/$1.pid")
    kill "$pid"
    for _ in $(seq 30); do
        running "$1" || return 0
        sleep 0.1
    done
    kill -KILL "$pid" || true
}

[ $# = 2 ] || fail "usage: slurm.sh start|stop DIR"
mkdir -p "$2"
dir=$(realpath "$2")
case $1 in
    start) start ;;
    stop) stop ;;
    *) fail "usage: slurm.sh start|stop DIR" ;;
esac
