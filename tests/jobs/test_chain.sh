#!/bin/bash
# The whole chain on a capture of the generator: two ranks extract, a sweep trains two models with two seeds, and the table
# shows them with mean and deviation beside the baselines. A second sweep over the same folder runs nothing again.
# ctest: labels=mpi timeout=240
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "FAILED: $*"
    exit 1
}

"$WIRESWEEP_TOOLS/make_capture" --flows 600 --seed 11 -o synthetic.pcap --labels labels.csv >counts
mpirun -n 2 "$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o store.h5 synthetic.pcap
"$WIRESWEEP" inspect store.h5 | grep -q 600 || fail "inspect does not show 600 flows"
cat >sweep.json <<'END'
{
  "name": "chain",
  "base": {"store": "store.h5", "train": {"steps": 30, "batch": 64, "gradient_shards": 4, "validate_every": 0}},
  "list": [
    {"task": "anomaly", "label": "family", "normal": ["benign"],
     "model": {"kind": "flow_cfm", "width": 32, "blocks": 1, "solver_steps": 4}},
    {"task": "classify", "label": "label", "model": {"kind": "logistic"}}
  ],
  "linked": [{"train.seed": [0, 1], "protocol_seed": [0, 1]}],
  "baselines": true
}
END
"$WIRESWEEP" sweep -q sweep.json --workers 2 -o out
"$WIRESWEEP" table out --format md >table.md
for word in flow_cfm logistic majority best_single_feature auroc balanced_accuracy ±; do
    grep -q "$word" table.md || fail "the table has no $word: $(cat table.md)"
done
grep -qi synthetic table.md || fail "the table does not say that its data are synthetic"
[ "$(grep -c '^|.*\(flow_cfm\|logistic\).*±' table.md)" -ge 2 ] || fail "not every model has mean ± deviation: $(cat table.md)"

# The table for programs: JSON with the numbers of the CSV.
"$WIRESWEEP" table out --json >table.json
"$WIRESWEEP" table out --format csv >table.csv
mean=$(jq -r '.[] | select(.model == "logistic" and .metric == "macro_f1") | .mean | . * 1e9 | round' table.json)
awk -F, -v mean="$mean" '$8 == "logistic" && $13 == "macro_f1" && int($18 * 1e9 + 0.5) == mean { found = 1 }
    END { exit !found }' table.csv || fail "table --json says $mean, table.csv: $(grep macro_f1 table.csv)"
[ "$(jq length table.json)" = "$(($(wc -l <table.csv) - 1))" ] || fail "table --json has not the lines of table.csv"

# Nothing is run twice, and the table does not change.
touch marker
"$WIRESWEEP" sweep -q sweep.json --workers 2 -o out
[ "$(find out/trials -name record.json -newer marker | wc -l)" = 0 ] || fail "a finished trial ran again"
"$WIRESWEEP" table out --format md | cmp - table.md
"$WIRESWEEP" status out >status
grep -q done status || fail "status does not count what is done"

# The same store with another number of ranks gives the same trials: ids hold the content hash.
mpirun -n 3 "$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o again.h5 synthetic.pcap
[ "$("$WIRESWEEP" inspect --hash store.h5)" = "$("$WIRESWEEP" inspect --hash again.h5)" ] || fail "3 ranks gave another store than 2"
