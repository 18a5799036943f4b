#!/bin/bash
# The script of a job in the hands of a srun and a scontrol of the test's own: status 75 queues the job again, not for ever and not
# after it was asked to stop; what a lost node leaves is finished; other statuses are the job's. And the program, started by srun
# without MPI, is one process.
# ctest: labels=cli timeout=60
set -euo pipefail
folder=$(realpath "$(mktemp -d)")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
unset SLURM_JOB_ID SLURM_CONF
mkdir bin
echo '{ "base": "train.json" }' >sweep.json
cat >bin/srun <<'END'
#!/bin/bash
echo "srun cores=$SRUN_CPUS_PER_TASK $*" >>"$STUB/calls"
[ ! -e "$STUB/wait" ] || { trap 'echo told >>"$STUB/calls"; exit 75' USR2; : >"$STUB/waiting"; while :; do sleep 0.05; done; }
exit "$(cat "$STUB/srun_status")"
END
# Slurm ends the script that is queued again
printf '#!/bin/bash\necho "scontrol $*" >>"$STUB/calls"\nkill -KILL $PPID\n' >bin/scontrol
printf '#!/bin/bash\necho "here $*" >>"$STUB/calls"\nexit 3\n' >program
chmod +x bin/* program
export STUB=$folder PATH=$folder/bin:$PATH
"$WIRESWEEP" submit --job program="$folder/program" --job restarts=2 --job nodes=2 --dry-run sweep sweep.json -o d >job 2>/dev/null
mkdir -p d/jobs

# job STATUS_OF_SRUN VARIABLE=VALUE...: its own status in $status, what it called in `calls`
job() {
    echo "$1" >srun_status
    shift
    : >calls
    status=0
    env SLURM_JOB_ID=12 SLURM_JOB_NODELIST=n1 SLURM_CPUS_PER_TASK=5 SLURM_JOB_NUM_NODES=1 "$@" bash job 2>message || status=$?
}
job 0
[ $status = 0 ] && [ "$(cat d/jobs/12.status)" = 0 ] || fail "status 0: $status"
grep -q "^srun cores=5 --mpi=none .*$folder/program sweep --workers 0" calls || fail "$(cat calls)"
job 3
[ $status = 3 ] && [ "$(cat d/jobs/12.status)" = 3 ] || fail "status 3: $status"
job 75
grep -q "^scontrol requeue 12$" calls || fail "75 does not queue the job again: $(cat calls message)"
[ ! -e d/jobs/12.status ] || fail "a job that is queued again has not ended"
cp bin/scontrol killing
printf '#!/bin/bash\necho "scontrol $*" >>"$STUB/calls"\n(sleep 0.2; pkill -TERM -P $PPID -x sleep; kill -TERM $PPID) >/dev/null 2>&1 &\n' >bin/scontrol
job 75
[ $status = 143 ] && [ ! -e d/jobs/12.status ] || fail "a job that is queued again ends by the signal, not with a status: $status"
mv killing bin/scontrol
job 75 SLURM_RESTART_COUNT=1 SLURM_ARRAY_JOB_ID=11 SLURM_ARRAY_TASK_ID=4
grep -q "^scontrol requeue 11_4$" calls || fail "not the task of the array: $(cat calls)"
job 75 SLURM_RESTART_COUNT=2
[ $status = 75 ] && ! grep -q scontrol calls || fail "queued again for ever"
job 137 SLURM_JOB_NUM_NODES=2
[ $status = 3 ] && grep -q "^here sweep" calls || fail "a lost node: status $status: $(cat calls message)"
job 137
[ $status = 137 ] || fail "status 137 of one node: $status"

# the warning is passed on, and then queued again; a wish to stop is passed on only
for signal in USR1 TERM; do
    : >calls
    : >wait
    rm -f waiting
    env SLURM_JOB_ID=12 SLURM_JOB_NODELIST=n1 bash job 2>message &
    batch=$!
    until [ -e waiting ]; do
        kill -0 $batch 2>/dev/null || fail "$(cat message)"
        sleep 0.02
    done
    kill -$signal $batch
    status=0
    wait $batch || status=$?
    grep -q "^told$" calls || fail "$signal: nobody was told"
    if [ $signal = USR1 ]; then
        grep -q "^scontrol requeue 12$" calls || fail "not queued again after the warning"
    else
        [ $status = 75 ] && ! grep -q scontrol calls || fail "$signal: status $status: $(cat calls)"
    fi
done

# extract: what was left out as asked does not keep the next job from running
"$WIRESWEEP" submit --job program="$folder/program" --dry-run extract -o s.h5 caps >job 2>/dev/null
mkdir -p s.h5.jobs
rm wait
job 3
[ $status = 0 ] && [ "$(cat s.h5.jobs/12.status)" = 3 ] || fail "extract with status 3: $status"

# a step without MPI: Open MPI must not wait to be told of ranks
step="SLURM_JOB_ID=1 SLURM_JOBID=1 SLURM_NODELIST=n[1-2] SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1 SLURM_LOCALID=0
    SLURM_NTASKS=2 SLURM_NNODES=2"
env $step "$WIRESWEEP" list protocols >out 2>message || fail "in a step without MPI: $(cat message)"
grep -q "^temporal" out || fail "$(cat out)"
env $step "$WIRESWEEP" inspect nowhere.h5 >out 2>message && fail "no such file"
grep -q "srun started 2 processes that do not know of each other" message || fail "$(cat message)"
echo passed
