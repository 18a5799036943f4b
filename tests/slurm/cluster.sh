# Sourced: a Slurm of its own on this machine, for tests: nodes with invented CPUs, a controller, munge, everything in one folder.
# Nothing under /etc, /run or /var is touched, and nothing is stopped that was not started here. Needs root (slurmd runs jobs as their
# users) and Debian's slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge (tests/run -L slurm installs them).

PATH=$PATH:/usr/sbin:/sbin

# cluster_up FOLDER NODES CPUS: exits with 77 and the reason where there can be no cluster; "$1" must be short (sockets), new, and
# reachable by everyone. Sets SLURM_CONF for what follows.
cluster_up() {
    cluster=$1
    local nodes=$2 cpus=$3 host base port program
    [ "$(id -u)" = 0 ] || { echo "skipped: Slurm is started as root only"; exit 77; }
    for program in munged slurmctld slurmd sbatch srun scontrol squeue scancel sinfo; do
        command -v $program >/dev/null || { echo "skipped: $program is not installed (tests/run -L slurm installs Slurm)"; exit 77; }
    done
    [ ${#cluster} -le 60 ] || { echo "skipped: $cluster is too long a name for sockets"; exit 77; }
    mkdir -p "$cluster/state" "$cluster/log" "$cluster/run"
    chmod 755 "$cluster"
    host=$(hostname -s)
    base=$(free_ports $((nodes + 1))) || { echo "skipped: no free ports"; exit 77; }
    export SLURM_CONF=$cluster/slurm.conf
    write_configuration "$nodes" "$cpus" "$host" "$base" >"$SLURM_CONF"
    for ((port = 0; port < cluster_gpus; port++)); do
        # invented GPUs: any device file will do
        echo "NodeName=n[1-$nodes] Name=gpu Type=fake File=/dev/$(echo null zero full random urandom | cut -d' ' -f$((port + 1)))"
    done >"$cluster/gres.conf"
    (umask 077 && head -c 128 /dev/urandom >"$cluster/munge.key")
    munged --key-file="$cluster/munge.key" --socket="$cluster/run/munge.sock" --pid-file="$cluster/munged.pid" \
        --log-file="$cluster/log/munged.log" --seed-file="$cluster/run/munge.seed" || cluster_failed munged
    (cd "$cluster" && exec slurmctld -c -i) </dev/null >/dev/null 2>&1 || cluster_failed slurmctld
    for ((port = 1; port <= nodes; port++)); do
        mkdir -p "$cluster/tmp.n$port" "$cluster/spool.n$port"
        (cd "$cluster" && exec slurmd -c -N "n$port") </dev/null >/dev/null 2>&1 || cluster_failed "slurmd of n$port"
    done
    await 600 cluster_idle "$nodes" || cluster_failed "not all nodes"
    # Two nodes of one machine would give their ranks' shared memory the same names: messages go through the loopback instead.
    export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
}
cluster_gpus=${cluster_gpus:-0} # invented ones on each node; 5 at most

cluster_idle() {
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = "$1" ]
}

cluster_failed() {
    echo "FAILED: $1 did not start" >&2
    tail -n 20 "$cluster"/log/* >&2
    exit 1
}

# await TENTHS COMMAND...: until the command succeeds; 1 where it does not within so many tenths of a second
await() {
    local left=$1
    shift
    while ! "$@"; do
        [ $((left--)) -gt 0 ] || return 1
        sleep 0.1
    done
}

# free_ports COUNT: the first of so many adjacent ports below those that the kernel hands out
free_ports() {
    local try port free
    for ((try = 0; try < 50; try++)); do
        local first=$((20000 + RANDOM % 400 * 25))
        free=yes
        for ((port = first; port < first + $1; port++)); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then free=no; fi
        done
        [ $free = no ] || { echo $first; return 0; }
    done
    return 1
}

write_configuration() { # NODES CPUS HOST PORT
    cat <<END
ClusterName=test
SlurmctldHost=$3(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$cluster/run/munge.sock
SlurmctldPort=$4
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/slurmd.%n.pid
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool.%n
# one for each node: two that share it would make the same folder for an MPI program
TmpFS=$cluster/tmp.%n
SlurmctldLogFile=$cluster/log/slurmctld.log
SlurmdLogFile=$cluster/log/slurmd.%n.log
# neither control groups nor accounting
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MinJobAge=3600
# the invented CPUs count, not those of the machine
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MailProg=/bin/true
# a node that was set down stays so until it is resumed
ReturnToService=1
KillWait=5
# a busy machine answers late
MessageTimeout=60
SlurmctldTimeout=120
SlurmdTimeout=300
UnkillableStepTimeout=120
MaxArraySize=4
GresTypes=gpu
NodeName=n[1-$1] NodeHostname=$3 NodeAddr=127.0.0.1 Port=[$(($4 + 1))-$(($4 + $1))] CPUs=$2 RealMemory=1024$([ "$cluster_gpus" = 0 ] || echo " Gres=gpu:fake:$cluster_gpus") State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP
END
}

# program_of PID: its file's name
program_of() {
    basename "$(readlink "/proc/$1/exe" 2>/dev/null)" 2>/dev/null
}

# Processes of the jobs' steps, which write no pid file: those that know of this cluster.
cluster_steps() {
    local each
    for each in /proc/[0-9]*; do
        case $(program_of "${each#/proc/}") in slurmstepd*) ;; *) continue ;; esac
        if tr '\0' '\n' <"$each/environ" 2>/dev/null | grep -qxF "SLURM_CONF=$SLURM_CONF" ||
            readlink "$each/cwd" "$each"/fd/* 2>/dev/null | grep -qF "$cluster/"; then
            echo "${each#/proc/}"
        fi
    done
}

no_cluster_steps() {
    [ -z "$(cluster_steps)" ]
}

# cluster_down: what cluster_up has started, also half of it
cluster_down() {
    local file pid name pids=""
    [ -n "${cluster:-}" ] && [ -d "$cluster" ] || return 0
    if [ -f "$cluster/slurmctld.pid" ]; then
        timeout 20 scancel --state=PENDING --user=root 2>/dev/null
        timeout 20 scancel --user=root 2>/dev/null
        await 300 no_cluster_steps
    fi
    for file in "$cluster"/slurmd.*.pid "$cluster/slurmctld.pid" "$cluster/munged.pid"; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        name=$(basename "$file")
        case $(program_of "$pid") in "${name%%.*}"*) kill "$pid" 2>/dev/null && pids="$pids $pid" ;; esac
    done
    for pid in $(cluster_steps); do
        kill "$pid" 2>/dev/null && pids="$pids $pid"
    done
    for pid in $pids; do
        await 200 process_gone "$pid" || kill -KILL "$pid" 2>/dev/null
    done
    unset SLURM_CONF
    return 0
}

process_gone() {
    [ ! -d "/proc/$1" ]
}

# job_state ID: of a job, or of an array's tasks together, e.g. "COMPLETED" or "COMPLETED RUNNING"
job_state() {
    squeue -h -t all --array -j "$1" -o %T 2>/dev/null | sort -u | tr '\n' ' ' | sed 's/ $//'
}

job_over() {
    [ -z "$(squeue -h -t PD,R,CG,CF,S,SO,RQ -j "$1" -o %T 2>/dev/null)" ]
}
