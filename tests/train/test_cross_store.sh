#!/bin/bash
# A model scores all rows of a store it was not trained on, and none of its own training rows.
# ctest: timeout=240
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 8 -o second.pcap --labels second.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels second.csv -o second.h5 second.pcap >/dev/null
train 1 logistic.json run --set minimum_rows=1
test_rows() { sed -n 's/.*"test": \([0-9]*\).*/\1/p' "$1" | head -n 1; }

"$WIRESWEEP" evaluate run -q --json --store second.h5 --protocol cross_store >all.json
[ "$(test_rows all.json)" = 300 ] || fail "$(test_rows all.json) of 300 rows are test rows"
"$WIRESWEEP" evaluate run -q --json --store second.h5 >part.json
[ "$(test_rows part.json)" -lt 100 ] || fail "the run's own protocol tests $(test_rows part.json) of 300 rows"
grep -q balanced_accuracy all.json
# on its own store only what it has not seen is left
"$WIRESWEEP" evaluate run -q --json --protocol cross_store >own.json
"$WIRESWEEP" evaluate run -q --protocol cross_store >own.txt
grep -q "^  left out: [1-9][0-9]* rows" own.txt || fail "rows seen in training are left out without a word: $(cat own.txt)"
"$WIRESWEEP" evaluate run -q --json >same.json
[ "$(test_rows own.json)" = "$(test_rows same.json)" ] || fail "rows that were trained on are tested"
# it trains nothing
status=0
"$WIRESWEEP" train logistic.json -q -o none --set protocol=cross_store 2>message.txt >/dev/null || status=$?
[ $status = 2 ] && grep -q 'cross_store leaves no training rows' message.txt || fail "status $status: $(cat message.txt)"

# thresholds of an anomaly detector come from the store it was trained on, whatever store it scores
train 1 cfm.json anomaly --set train.steps=10
thresholds() { jq -c '[.scores[] | .thresholds[]? | .threshold]' "$1"; }
"$WIRESWEEP" evaluate anomaly -q --json >own.json
"$WIRESWEEP" evaluate anomaly -q --json --store second.h5 --protocol cross_store >other.json
[ "$(thresholds own.json)" != '[]' ] && [ "$(thresholds own.json)" = "$(thresholds other.json)" ] ||
    fail "thresholds $(thresholds own.json) at home and $(thresholds other.json) on another store"
jq -e '.counts.test == 300 and .counts.validation > 0 and .audit.test_in_train.hosts == null
       and .audit.test_in_train.duplicates == 0' other.json >/dev/null || fail "$(cat other.json)"
# a store whose level and classes are called otherwise: the same, once these are named
awk -F, -v OFS=, 'NR > 1 { $8 = $9 == "benign" ? "NORMAL" : "ATTACK"; $9 = "any" } 1' second.csv >otherwise.csv
"$WIRESWEEP" extract -q --dataset synthetic --labels otherwise.csv -o otherwise.h5 second.pcap >/dev/null
named="--store otherwise.h5 --protocol cross_store --label label --normal NORMAL"
"$WIRESWEEP" evaluate anomaly -q --json $named >named.json
[ "$(jq -c '[.counts, .scores[].auroc]' other.json)" = "$(jq -c '[.counts, .scores[].auroc]' named.json)" ] &&
    [ "$(thresholds own.json)" = "$(thresholds named.json)" ] || fail "classes under other names: $(cat named.json)"
for wrong in "--store otherwise.h5" "--store otherwise.h5 --label label" "--label label" "--normal NORMAL"; do
    status=0
    "$WIRESWEEP" evaluate anomaly -q $wrong >/dev/null 2>message.txt || status=$?
    [ $status = 2 ] || fail "evaluate $wrong: status $status $(cat message.txt)"
done
mkdir other
cp second.h5 other/model.h5
"$WIRESWEEP" evaluate other >/dev/null 2>message.txt && fail "a store passed for a model"
grep -q "other/model.h5: holds no trained model" message.txt || fail "a store for a model: $(cat message.txt)"
# without that store there are none, and it is said
mv store.h5 moved.h5
"$WIRESWEEP" evaluate anomaly -q --json --store second.h5 --protocol cross_store >without.json 2>message.txt
grep -q 'no thresholds' message.txt && [ "$(thresholds without.json)" = '[]' ] || fail "$(cat message.txt without.json)"

# other detectors score the second store as they were fitted on the first, which the second store's values do not change
mv moved.h5 store.h5
for kind in knn_distance spline_flow; do
    jq -c --arg kind $kind '.model = {kind: $kind} | .train.steps = 5
        | if $kind == "spline_flow" then .model += {couplings: 2, bins: 4, width: 16} else . end' cfm.json >$kind.json
    "$WIRESWEEP" train $kind.json -q -o $kind >/dev/null
    "$WIRESWEEP" evaluate $kind -q --json --store second.h5 --protocol cross_store >other.json
    "$WIRESWEEP" evaluate $kind -q --json >own.json
    jq -e '.counts.test == 300 and .counts.validation > 0 and ([.scores[].auroc] | all(. > 0 and . < 1))' other.json \
        >/dev/null || fail "$kind: $(cat other.json)"
    [ "$(thresholds own.json)" = "$(thresholds other.json)" ] || fail "$kind: other thresholds on another store"
    [ "$(jq -c '[.scores[].auroc]' own.json)" = "$(jq -c '[.result.scores[].auroc]' $kind/record.json)" ] ||
        fail "$kind: scores of its own store change"
done
