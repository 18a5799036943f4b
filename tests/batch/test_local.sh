#!/bin/bash
# wiresweep submit --profile local: extraction, sweep and table one after the other, here, by the scripts that a cluster would get;
# the tables are those of the same commands by hand. One that is stopped goes on when it is submitted again.
# ctest: labels=cli timeout=120
set -euo pipefail
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
unset SLURM_JOB_ID
folder=$(realpath "$(mktemp -d)")
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
cat >sweep.json <<'END'
{ "base": { "store": "synthetic.h5", "task": "anomaly", "protocol": "random", "label": "family", "normal": ["benign"],
    "model": { "kind": "flow_cfm", "width": 16, "blocks": 1, "solver_steps": 2, "ot_group": 32 },
    "train": { "steps": 8, "batch": 32, "gradient_shards": 4, "warmup": 1 }, "evaluate": { "bootstrap": 20 } },
  "seeds": 3 }
END
"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
extract="extract -q --dataset synthetic --labels labels.csv -o synthetic.h5 synthetic.pcap"
"$WIRESWEEP" submit --profile local --job tasks_per_node=2 $extract --then sweep sweep.json -o submitted --then table submitted -o table.md \
    >out 2>message || fail "$(cat message)"
rm synthetic.h5
"$WIRESWEEP" $extract
"$WIRESWEEP" sweep -q sweep.json -o by_hand >/dev/null
cmp table.md by_hand/tables/table.md || fail "the table at the end of the chain is another one"
for table in table.md table.csv trials.csv; do
    cmp "by_hand/tables/$table" "submitted/tables/$table" || fail "$table tells of how it was run"
done
for script in extract-1 sweep-1 table-1; do
    bash -n "submitted/jobs/$script.sbatch" || fail "$script.sbatch"
done

hold "$folder/stopped/trials/*/record.json" 3 "" signal # when the first trial is done
{ echo '#!/bin/bash' && printf 'exec' && printf ' %q' "${held[@]}" "$WIRESWEEP" && echo ' "$@"'; } >held_program
chmod +x held_program
"$WIRESWEEP" submit --profile local --job program="$folder/held_program" sweep sweep.json --workers 1 -o stopped --then table stopped -o never.md \
    >out 2>message &
submit=$!
await_hold $submit || fail "the sweep ended before it could be stopped: $(cat message)"
kill -TERM $submit
status=0
wait $submit || status=$?
[ $status = 75 ] || fail "status $status, not 75: $(cat message)"
[ ! -e never.md ] || fail "a table of a sweep that was stopped"
"$WIRESWEEP" submit --profile local sweep sweep.json -o stopped >out 2>message || fail "again: $(cat message)"
cmp by_hand/tables/trials.csv stopped/tables/trials.csv || fail "the tables tell of the interruption"
[ -e stopped/jobs/sweep-2.sbatch ] || fail "the second submission has no script of its own"

# a sweep with failed trials has its table all the same, which tells of them; what else ends with status 3 is followed by nothing
status=0
"$WIRESWEEP" submit --profile local sweep sweep.json --memory-limit 0.1 --retries 0 -o failing --then table failing -o failing.md \
    >out 2>message || status=$?
[ $status = 3 ] && grep -q "3 planned, 0 done, 3 failed" failing.md && [ "$(grep -c "was given 0.1 GiB of memory" failing.md)" = 3 ] || fail "status $status: $(cat message)"
mkdir half
cp -r by_hand/sweep.json by_hand/trials half/
rm -rf "half/trials/$(ls half/trials | head -n 1)"
status=0
"$WIRESWEEP" submit --profile local verify half --then table half -o none.md >out 2>message || status=$?
[ $status = 3 ] && [ ! -e none.md ] || fail "after a verification of half a sweep: status $status: $(cat message)"

# what goes wrong is the chain's status, and what follows does not begin
status=0
"$WIRESWEEP" submit --profile local extract -q -o no.h5 nowhere.pcap --then sweep sweep.json -o never >out 2>message || status=$?
[ $status = 2 ] && grep -q "nowhere.pcap" message && [ ! -e never/sweep.json ] || fail "status $status: $(cat message)"
echo passed
