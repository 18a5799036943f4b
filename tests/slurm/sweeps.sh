# Sourced, after cluster_up, in a new folder of the test: a sweep of ten trials, what it gives undisturbed (calm/), and what its jobs have
# to end with.

fail() {
    echo "FAILED: $*" >&2
    head -n 60 ./*/jobs/*.log >&2
    squeue -t all >&2
    grep -h JobId= "$cluster/log/slurmctld.log" | tail -n 40 >&2
    exit 1
}
cat >mine.json <<'END'
{ "time": "00:30:00", "nodes": 2, "tasks_per_node": 2, "cpus_per_task": 1, "warning": 60, "restarts": 5 }
END
export WIRESWEEP_PROFILE=./mine.json
cat >sweep.json <<'END'
{ "base": { "store": "synthetic.h5", "task": "anomaly", "protocol": "random", "label": "family", "normal": ["benign"],
    "model": { "kind": "flow_cfm", "width": 32, "blocks": 2, "solver_steps": 4, "ot_group": 32 },
    "train": { "steps": 200, "batch": 32, "gradient_shards": 4, "warmup": 1 }, "evaluate": { "bootstrap": 20 } },
  "seeds": 8, "baselines": true }
END
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
extract="extract -q --dataset synthetic --labels labels.csv"
"$WIRESWEEP" $extract -o synthetic.h5 synthetic.pcap || fail "extract"
"$WIRESWEEP" sweep -q sweep.json --workers 2 -o calm >/dev/null || fail "the undisturbed sweep"

# submit ARGUMENT...: numbers of the jobs in ${jobs[@]}
submit() {
    "$WIRESWEEP" submit -q "$@" >submitted 2>message || fail "submit $*: $(cat message)"
    mapfile -t jobs < <(cut -d' ' -f1 submitted)
}
# finish JOB...: waits for them, which are to end well
finish() {
    local job
    for job; do
        await 1200 job_over "$job" || fail "job $job does not end: $(squeue -h -t all -j "$job")"
        [ "$(job_state "$job")" = COMPLETED ] || fail "job $job: $(job_state "$job")"
    done
}
# same_as_calm FOLDER: one record for each planned trial, and the same tables
same_as_calm() {
    local table
    diff <(ls calm/trials) <(ls "$1/trials") || fail "$1: not one record for each planned trial"
    for table in table.md table.csv trials.csv classes.csv thresholds.csv comparison.csv; do
        cmp "calm/tables/$table" "$1/tables/$table" || fail "$1: $table tells of what has happened"
    done
    "$WIRESWEEP" status "$1" >said || fail "status $1"
    grep -q "^10 planned: 10 done, 0 failed, 0 running, 0 left" said || fail "$1: $(cat said)"
}
# begun FOLDER: its first trial is done; unfinished FOLDER: others are not
begun() {
    compgen -G "$1/trials/*/record.json" >/dev/null
}
unfinished() {
    [ "$(compgen -G "$1/trials/*/record.json" | wc -l)" -lt 10 ] || fail "$1 was over before anything could happen to it"
}

# is_queued_again JOB: by its own script, or by Slurm
is_queued_again() {
    squeue -h -j "$1" -o '%T %r' | grep -q '^PENDING \(BeginTime\|None\|Resources\)'
}
# queue_soon JOB: it need not wait for the two minutes that Slurm has given it; a node that has just ended it would not start it again
# within the same second
queue_soon() {
    await 600 is_queued_again "$1" || fail "not queued again: $(squeue -h -t all -j "$1")"
    scontrol update JobId="$1" StartTime=now+2
}
