#!/bin/bash
# ctest: labels=mpi timeout=120
# 50 steps on 1, 2, 3 and 4 ranks and on 2 threads: the same parameters, scores and metrics, byte for byte. The same for
# logistic regression.
. "$(dirname "$0")/small_store.sh"

for config in cfm logistic; do
    train 1 $config.json $config.1
    result_of $config.1 >expected
    [ "$(wc -l <expected)" -gt 40 ] || fail "$config: the record has no result part"
    grep -q '"parameter_hash": "[0-9a-f]\{64\}"' expected || fail "$config: no parameter hash"
    for ranks in 2 3 4; do
        train $ranks $config.json $config.$ranks
        result_of $config.$ranks | cmp - expected || fail "$config: $ranks ranks give another result than one"
    done
    train 1 $config.json $config.threads --set train.threads=3
    result_of $config.threads | cmp - expected || fail "$config: 3 threads give another result than one"
    cmp $config.1/scores.h5 $config.3/scores.h5 || fail "$config: the score files differ"
done

train 1 cfm.json seeded --seed 1
[ "$(parameter_hash seeded)" != "$(parameter_hash cfm.1)" ] || fail "another seed gives the same parameters"

# The identity does not know threads, names or where the store lies; it knows what changes the result.
id_of() { sed -n 's/^  "id": "\([0-9a-f]*\)".*/\1/p' "$1/record.json"; }
mkdir elsewhere && cp store.h5 elsewhere/copy.h5
train 1 logistic.json named --set name=other --set store=elsewhere/copy.h5 --set train.threads=2
[ "$(id_of named)" = "$(id_of logistic.1)" ] && [ "$(id_of named | wc -c)" = 17 ] ||
    fail "the identity depends on the name, the place of the store or the threads"
train 1 logistic.json regularised --set model.inverse_regularisation=0.01
[ "$(id_of regularised)" != "$(id_of logistic.1)" ] || fail "another setting has the same identity"
train 1 logistic.json resplit --set protocol_seed=1
[ "$(id_of resplit)" != "$(id_of logistic.1)" ] || fail "another split has the same identity"

# What the sweep and the reader of tables rely on.
for key in id status schema result run; do
    grep -q "^  \"$key\":" cfm.1/record.json || fail "record.json has no $key"
done
for key in config store_hash split_hash task model deterministic synthetic label dataset device isa precision score_hash \
    counts classes scores; do
    grep -q "^    \"$key\":" cfm.1/record.json || fail "the result has no $key"
done
grep -q '"synthetic": true' cfm.1/record.json || fail "a generated capture is not marked synthetic"
grep -q '"deterministic": true' logistic.1/record.json || fail "logistic is not marked deterministic"
grep -q '"confusion": ' logistic.1/record.json || fail "no confusion matrix"
grep -q '"per_class": ' cfm.1/record.json || fail "no metrics by class"
! grep -q 'store.h5\|"threads": 3\|"keep"' expected || fail "the result names paths or things that cannot change it"

# A trained run scores its own test rows again, and those of another store with the same columns.
"$WIRESWEEP" evaluate cfm.1 -q --json >again.json
for key in score_hash auroc auprc; do
    diff <(grep -o "\"$key\": [^,]*" again.json) <(grep -o "\"$key\": [^,]*" cfm.1/record.json) || fail "evaluate: another $key"
done
status=0
"$WIRESWEEP" evaluate cfm.1 -q --store nothing.h5 >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -qF "store: $PWD/nothing.h5 does not exist" message.txt || fail "a missing store: $(cat message.txt)"
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 8 -o synthetic2.pcap --labels labels2.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels2.csv -o other.h5 synthetic2.pcap >/dev/null
"$WIRESWEEP" evaluate logistic.1 -q --json --store other.h5 >other.json
grep -q '"balanced_accuracy": 0\.[6-9]' other.json || fail "a store from the same generator is not classified"
echo "ok"
