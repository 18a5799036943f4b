#!/bin/bash
# slurm/sweep.sbatch without Slurm: warned that its time is up it ends with status 75 and checkpoints, and started again it goes on to
# the tables of an undisturbed sweep.
# ctest: labels=cli timeout=120
set -euo pipefail
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
unset SLURM_JOB_ID
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
script=$WIRESWEEP_SOURCE/slurm/sweep.sbatch

"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o synthetic.h5 synthetic.pcap
cat >sweep.json <<'END'
{ "base": { "store": "synthetic.h5", "task": "anomaly", "protocol": "random", "label": "family", "normal": ["benign"],
    "model": { "kind": "flow_cfm", "width": 16, "blocks": 1, "solver_steps": 2, "ot_group": 32 },
    "train": { "steps": 8, "batch": 32, "gradient_shards": 4, "warmup": 1 }, "evaluate": { "bootstrap": 20 } },
  "seeds": 3 }
END
bash "$script" sweep.json -o calm >/dev/null 2>message || fail "undisturbed: $(cat message)"

hold "$folder/disturbed/trials/*/record.json" 3 "" signal # when the first trial is done
{ echo '#!/bin/bash' && printf 'exec' && printf ' %q' "${held[@]}" "$WIRESWEEP" && echo ' "$@"'; } >held_program
chmod +x held_program
WIRESWEEP=$folder/held_program bash "$script" sweep.json --workers 1 -o disturbed >/dev/null 2>message &
batch=$!
await_hold $batch || fail "the sweep ended before it could be warned: $(cat message)"
kill -USR1 $batch
status=0
wait $batch || status=$?
[ $status = 75 ] || fail "status $status, not 75: $(cat message)"
grep -q "time is nearly up" message || fail "no word of the warning: $(cat message)"
"$WIRESWEEP" status disturbed | grep -q "3 planned: [12] done, 0 failed, 0 running" || fail "$("$WIRESWEEP" status disturbed)"
bash "$script" sweep.json -o disturbed >/dev/null 2>message || fail "started again: $(cat message)"
for table in table.md table.csv trials.csv; do
    cmp "calm/tables/$table" "disturbed/tables/$table" || fail "$table tells of the interruption"
done
echo passed
