#!/usr/bin/env bash
# ctest: timeout=120
# Scores and what a record says of them: only those asked for; sigma's criterion, which anomalies do not change; what
# two_sided is measured from goes into the model and is used again; intervals hold the value; the oracle is named so.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"

number() { sed -n "/\"$2\": {/,\$p" "$1/record.json" | sed -n "s/^ *\"$3\": \([-0-9.e+]*\),\{0,1\}\$/\1/p" | head -1; }

train 2 cfm.json run --set 'evaluate.scores=["terminal_norm","two_sided","nll"]' --set evaluate.criterion=shuffled \
    --set evaluate.bootstrap=200 --set model.solver=dopri5 --set model.solver_tolerance=1e-3 --set model.trace=hutchinson --set model.trace_draws=2
for score in terminal_norm two_sided nll; do
    [[ $(number run $score shuffled_auroc) =~ ^[01] ]] || fail "$score has no criterion"
    [[ $(number run $score tpr_at_fpr_0.001) =~ ^[01] ]] || fail "$score has no rate at 0.1 %"
done
grep -q '"velocity"' run/record.json && fail "a score that nobody asked for"
grep -q '"oracle_on_test": {' run/record.json || fail "no oracle"
awk -v low="$(grep -A1 '"interval": {' run/record.json | grep -o '[0-9.]*, [0-9.]*' | head -1 | cut -d, -f1)" \
    -v value="$(number run terminal_norm auroc)" 'BEGIN { exit !(low != "" && low <= value) }' || fail "interval"

# The same on three ranks, to the byte; and scored again from the model file, whose median is the one of training.
train 3 cfm.json again --set 'evaluate.scores=["terminal_norm","two_sided","nll"]' --set evaluate.criterion=shuffled \
    --set evaluate.bootstrap=200 --set model.solver=dopri5 --set model.solver_tolerance=1e-3 --set model.trace=hutchinson --set model.trace_draws=2
cmp <(result_of run) <(result_of again) || fail "another number of ranks, another result"
h5dump -d /learned/terminal_norm_median run/model.h5 >/dev/null || fail "the median is not in the model"
"$WIRESWEEP" evaluate run --json -q >evaluated.json
score_hash=$(sed -n 's/.*"score_hash": "\([0-9a-f]*\)".*/\1/p' run/record.json)
grep -q "$score_hash" evaluated.json || fail "evaluate gives other scores than the training run"
