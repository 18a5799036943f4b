#!/bin/bash
# ctest: labels=mpi timeout=60
# Models of trees as trials: the same record, scores and model on any ranks and threads; what is kept in the run folder scores again.
. "$(dirname "$0")/small_store.sh"

for model in '"random_forest", "trees": 20' '"extra_trees", "trees": 20, "class_weight": "balanced"' '"gradient_boosting", "rounds": 10'; do
    name=${model#\"} name=${name%%\"*}
    echo "{ \"store\": \"store.h5\", \"task\": \"classify\", \"label\": \"label\", \"model\": { \"kind\": $model } }" >$name.json
    train 1 $name.json $name.1
    result_of $name.1 >expected
    grep -q '"balanced_accuracy": 0\.[6-9]' expected || fail "$name: the store is not classified"
    train 3 $name.json $name.3 --set train.threads=2
    result_of $name.3 | cmp - expected || fail "$name: 3 ranks of 2 threads give another result than one"
    cmp $name.1/scores.h5 $name.3/scores.h5 || fail "$name: the score files differ"
    "$WIRESWEEP" evaluate $name.3 -q --json >again.json
    diff <(grep -o '"score_hash": [^,]*' again.json) <(grep -o '"score_hash": [^,]*' expected) || fail "$name: evaluate: other scores"
    # a model that was changed since does not score
    middle=$(($(stat -c %s $name.3/model.h5) / 2))
    other=$((255 - $(od -An -tu1 -j $middle -N 1 $name.3/model.h5)))
    printf "\\$(printf %03o $other)" | dd of=$name.3/model.h5 bs=1 seek=$middle conv=notrunc status=none
    status=0
    "$WIRESWEEP" evaluate $name.3 -q >/dev/null 2>message.txt || status=$?
    [ $status = 1 ] && grep -q "^error: .*model.h5 is not the file that .*record.json speaks of" message.txt ||
        fail "$name: a changed model: status $status, $(cat message.txt)"
    : >$name.3/record.json
    status=0
    "$WIRESWEEP" evaluate $name.3 -q >/dev/null 2>message.txt || status=$?
    [ $status = 1 ] && grep -q "^error: .*record.json: no record of a run" message.txt ||
        fail "$name: an empty record: status $status, $(cat message.txt)"
    [ $name != gradient_boosting ] || continue # draws nothing
    train 1 $name.json $name.seeded --seed 1
    [ "$(parameter_hash $name.seeded)" != "$(parameter_hash $name.1)" ] || fail "$name: another seed gives the same trees"
done
echo "ok"
