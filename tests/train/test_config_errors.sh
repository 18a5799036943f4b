#!/bin/bash
# ctest: timeout=120
# Wrong configurations: each a clear line with its place, exit status 2, and nothing started; several faults at once.
. "$(dirname "$0")/small_store.sh"

# refuse NAME PATTERN...: config.json is refused with status 2, the patterns (fixed texts) in the message, no run folder
refuse() {
    local name=$1 status=0
    shift
    timeout 100 "$WIRESWEEP" train config.json -o run >output.txt 2>message.txt || status=$?
    [ $status = 2 ] || fail "$name: status $status, not 2: $(cat message.txt)"
    [ ! -s output.txt ] || fail "$name: something on standard output"
    [ ! -e run ] || fail "$name: a run folder was made"
    for pattern in "$@"; do
        grep -qF -- "$pattern" message.txt || fail "$name: no \"$pattern\" in: $(cat message.txt)"
    done
}
base='"store": "store.h5", "task": "anomaly", "label": "family", "normal": ["benign"], "model": {"kind": "flow_cfm"}'

printf '{ %s,\n  "train": {"stepps": 5} }\n' "$base" >config.json
refuse "unknown key" 'config.json:2:23: error: train.stepps: unknown key. Did you mean "steps"?' "1 error; nothing was started"
printf '{ %s,\n  "train": {"steps": "many"} }\n' "$base" >config.json
refuse "wrong type" "config.json:2:22: error: train.steps"
printf '{ %s,\n  "train": {"steps": 2.5} }\n' "$base" >config.json
refuse "not an integer" "config.json:2:22: error: train.steps" "2.5"
printf '{ %s,\n  "train": {"learning_rate": -1} }\n' "$base" >config.json
refuse "out of range" "config.json:2:30: error: train.learning_rate" "-1"
printf '{ %s,\n  "train": {"learning_rate": 1e400} }\n' "$base" >config.json
refuse "1e400" "config.json:2:30: this number is too large"
printf '{ %s,\n  "evaluate": {"quantiles": [0.9, 0.99, 0.9]} }\n' "$base" >config.json
refuse "a quantile twice" "config.json:2:41: error: evaluate.quantiles: 0.9 stands there twice"
printf '{ %s,\n  "train": {"optimiser": "sgd", "beta1": 0.5} }\n' "$base" >config.json
refuse "moments without any" 'config.json:2:26: error: train.optimiser: "sgd" has no moments'
printf '{ %s,\n  "protocol_seed": 9007199254740993 }\n' "$base" >config.json
refuse "2^53+1" "config.json:2:20"
printf '{ %s,\n  "task": "anomaly" }\n' "$base" >config.json
refuse "duplicate key" "config.json:2:" "task"
printf '{ %s,\n  "columns": ["log_dur", "log_ppps"] }\n' "$base" >config.json
refuse "unknown column" 'config.json:2:14: error: columns: "log_ppps": the table has no such column. Did you mean "log_pps"?'
printf '{ %s,\n  "columns": ["!log_dur", "log_pps"] }\n' "$base" >config.json
refuse "columns both ways" 'names with and without ! do not go together'
printf '{ %s }\n}\n' "$base" >config.json
refuse "trailing text" "config.json:2:1"
printf '{ %s,\n' "$base" >config.json
refuse "cut off" "config.json:"
printf '{ %s }\n' "${base/store.h5/nowhere.h5}" >config.json
refuse "missing store" "config.json:1:12: error: store: nowhere.h5 does not exist" "wiresweep extract"
echo "no HDF5" >broken.h5
printf '{ %s }\n' "${base/store.h5/broken.h5}" >config.json
refuse "not a store" "broken.h5"
head -c 40000 store.h5 >cut.h5
printf '{ %s }\n' "${base/store.h5/cut.h5}" >config.json
refuse "cut store" "cut.h5 is incomplete: 40000 of its $(stat -c %s store.h5) bytes are there; it was cut short"
printf '{ %s }\n' "${base/store.h5//dev/null}" >config.json
refuse "device for a store" "store: cannot read /dev/null: it is no regular file"
head -c 24 synthetic.pcap >none.pcap
"$WIRESWEEP" extract -q -o none.h5 none.pcap >/dev/null
printf '{ %s }\n' "${base/store.h5/none.h5}" >config.json
refuse "store without rows" "store: none.h5 has no rows; \`wiresweep inspect none.h5\` says what it was made of"
printf '{ %s,\n  "evaluate": {"scores": ["nll", "nll"]} }\n' "$base" >config.json
refuse "a score twice" 'config.json:2:26: error: evaluate.scores: "nll" is named twice'
printf '{ %s,\n  "evaluate": {"scores": "nll,velocity"} }\n' "$base" >config.json
refuse "text for a list" 'config.json:2:26: error: evaluate.scores: expected a list of strings: ["nll", "velocity"]'
printf '{ %s }\n' "${base/flow_cfm/flow_cmf}" >config.json
refuse "unknown model" 'model.kind: there is no model "flow_cmf". Did you mean "flow_cfm"?'
printf '{ %s,\n  "protocol": "temporall" }\n' "$base" >config.json
refuse "unknown protocol" 'config.json:2:15: error: protocol: there is no protocol "temporall". Did you mean "temporal"?'
printf '{ %s }\n' "${base/family/famly}" >config.json
refuse "unknown level" 'label: the store has no "famly". Did you mean "family"?'
printf '{ %s }\n' "${base/benign/begnin}" >config.json
refuse "unknown class" 'normal: the store has no "begnin". Did you mean "benign"?'
printf '{ "store": "store.h5", "task": "anomaly", "label": "family", "model": {"kind": "flow_cfm"} }\n' >config.json
refuse "no normal class" 'name at least one class of level "family" that is normal'
printf '{ %s,\n  "features": "flow21" }\n' "$base" >config.json
refuse "unknown features" 'features: the store has no table "flow21"'
printf '{ %s }\n' "${base/flow_cfm/logistic}" >config.json
refuse "wrong task" 'model.kind: logistic is not for task "anomaly"'
printf '{ %s,\n  "train": {"batch": 250} }\n' "$base" >config.json
refuse "batch and shards" "config.json:2:22: error: train.batch: 250 is no multiple of train.gradient_shards = 8 (nearest: 248, 256)"
printf '{ %s }\n' "${base/\}/, \"ot_group\": 100\}}" >config.json
refuse "group and batch" "model.ot_group: 100 does not divide train.batch = 256"
printf '{ %s,\n  "evaluate": {"scores": ["likelihood"], "quantiles": [2]} }\n' "$base" >config.json
refuse "scores and quantiles" 'evaluate.scores: flow_cfm has no score "likelihood"; it has: terminal_norm, two_sided, nll, velocity, reconstruction' "evaluate.quantiles" "2 errors"
flows() { printf '{ %s,\n  "model": {"kind": "spline_flow", "flows": %s} }\n' "${base/, \"model\": \{\"kind\": \"flow_cfm\"\}/}" "$1" >config.json; }
flows '["log_dur,log_ppps"]'
refuse "column of a flow" 'config.json:2:45: error: model.flows: "log_ppps" is none of the columns that the model sees. Did you mean "log_pps"?'
flows '["log_dur,log_pps", "log_dur, log_dur"]'
refuse "column twice in a flow" 'model.flows: "log_dur" is named twice in one flow'
flows '["log_dur,log_pps", "log_dur"]'
refuse "flow of one column" "each of model.flows needs two"
printf '{ %s,\n  "train_fraction": 0.8, "validation_fraction": 0.3 }\n' "$base" >config.json
refuse "no test rows" "leave no test rows"
printf '{ "task": "anomaly" }\n' >config.json
refuse "missing keys" "store is missing" "model.kind is missing"

# all faults of a file at once, in one message
cat >config.json <<'END'
{ "store": "nowhere.h5", "task": "anomaly", "normal": ["benign"],
  "model": { "kind": "flow_cfm", "sigmaa": 0.1,
             "solver": "rk5" },
  "train": { "steps": 0, "batch": 250 },
  "colour": 1 }
END
refuse "all at once" 'config.json:2:44: error: model.sigmaa: unknown key. Did you mean "sigma"?' "config.json:3:24: error: model.solver" \
    "config.json:4:23: error: train.steps" "config.json:4:35: error: train.batch" "config.json:5:13: error: colour: unknown key" \
    "nowhere.h5 does not exist" "6 errors; nothing was started"

# the command line
status=0
"$WIRESWEEP" train cfm.json --set train.stepps=5 -o run >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -qF 'Did you mean "steps"?' message.txt && [ ! -e run ] || fail "--set of an unknown key: $(cat message.txt)"
status=0
"$WIRESWEEP" train cfm.json >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -qF -- "-o" message.txt || fail "no run folder: $(cat message.txt)"
status=0
"$WIRESWEEP" train nothing.json -o run >/dev/null 2>message.txt || status=$?
[ $status != 0 ] && grep -qF "nothing.json" message.txt || fail "no configuration: $(cat message.txt)"

# what only the rows can tell: the message comes before anything is trained
for keys in '"train": {"select": "best"}' '"train": {"patience": 2}' '"evaluate": {"criterion": "shuffled"}'; do
    printf '{ %s, "protocol": "leaderboard", %s }\n' "$base" "$keys" >config.json
    status=0
    "$WIRESWEEP" train -q config.json -o early >/dev/null 2>message.txt || status=$?
    [ $status = 2 ] && grep -q "goes by normal validation rows, of which protocol leaderboard leaves none" message.txt ||
        fail "$keys without validation rows: status $status $(cat message.txt)"
    [ ! -e early ] || fail "$keys without validation rows: a folder is left that the next try is refused for"
done
status=0
"$WIRESWEEP" train -q cfm.json --set protocol=cross_store -o early >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q "^hint: .*wiresweep evaluate RUN_DIR --store" message.txt || fail "cross_store: $(cat message.txt)"
mkdir early
"$WIRESWEEP" train -q cfm.json --set protocol=cross_store -o early >/dev/null 2>message.txt || true
[ -z "$(ls -A early)" ] || fail "cross_store: $(ls early) is left in the folder"
rmdir early

status=0
"$WIRESWEEP" train -q cfm.json --set 'columns=["log_dur"]' --set 'model={"kind":"spline_flow"}' -o early >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q "spline_flow: one column cannot be conditioned on another" message.txt || fail "one column: $(cat message.txt)"
[ ! -e early ] || fail "one column: a run folder was made"
"$WIRESWEEP" train -q cfm.json --set 'normal=["benign","attack"]' --set train.steps=1 -o early >/dev/null 2>message.txt
grep -q '^warning: .*no test row is anomalous, so no ranking metric is defined' message.txt || fail "all normal: $(cat message.txt)"
rm -rf early

# a run does not go into the folder of a sweep, nor a sweep into that of a run
mkdir swept early early/checkpoints
echo '{}' >swept/sweep.json
echo '{ "base": "cfm.json" }' >sweep.json
for command in "train cfm.json --resume -o swept" "sweep sweep.json -o early"; do
    status=0
    "$WIRESWEEP" $command >/dev/null 2>message.txt || status=$?
    [ $status = 2 ] && grep -q "is the folder of a" message.txt || fail "$command: status $status $(cat message.txt)"
done

# what is right is printed whole and read back to the same
"$WIRESWEEP" train cfm.json --set train.steps=7 --print-config >printed.json
grep -q '"steps": 7' printed.json && grep -q '"solver": "midpoint"' printed.json || fail "--print-config lacks keys"
"$WIRESWEEP" train printed.json --print-config | cmp - printed.json || fail "--print-config does not read its own output"
echo "ok"
