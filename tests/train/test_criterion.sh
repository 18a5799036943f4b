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

# Rows that the solver could not keep to its tolerance are counted beside their score, the same on any ranks; not beside one that
# solves nothing.
train 1 cfm.json strained --set 'evaluate.scores=["terminal_norm","velocity"]' --set model.solver=dopri5 \
    --set model.solver_tolerance=1e-9 --set model.solver_limit=10 2>warned
train 3 cfm.json strained3 --set 'evaluate.scores=["terminal_norm","velocity"]' --set model.solver=dopri5 \
    --set model.solver_tolerance=1e-9 --set model.solver_limit=10 2>/dev/null
cmp <(result_of strained) <(result_of strained3) || fail "another number of ranks, other rows unsolved"
[ "$(grep -c '"unsolved": {' strained/record.json)" = 1 ] || fail "rows that are not solved are not counted beside their score"
tests=$(sed -n '/"counts": {/,/}/s/^ *"test": \([0-9]*\).*/\1/p' strained/record.json)
unsolved=$(sed -n '/"unsolved": {/,/}/s/^ *"test": \([0-9]*\).*/\1/p' strained/record.json)
[ "$unsolved" -gt 0 ] && [ "$unsolved" -le "$tests" ] || fail "$unsolved of $tests rows cannot be"
grep -q "$unsolved of $tests rows needed shorter steps" warned || fail "no warning, or another count"
grep -q '"unsolved"' run/record.json && fail "rows are called unsolved that are solved"

# The best single feature needs validation rows of both kinds: without them it is not defined, which is no failure.
cat >single.json <<'END'
{ "store": "store.h5", "task": "anomaly", "label": "family", "normal": ["benign"], "validation_fraction": 0,
  "model": { "kind": "best_single_feature" } }
END
train 2 single.json single
grep -q '"undefined": "it chooses on validation rows, and none of them is an anomaly"' single/record.json || fail "no reason"
grep -q '"auroc": null' single/record.json || fail "a value that is not defined"
"$WIRESWEEP" evaluate single -q | grep -q "not defined: it chooses on validation rows" || fail "evaluate does not say why"
