#!/bin/bash
# ctest: timeout=120
# Training that ends before its last step, or leaves steps out: the record says how far it came and whose parameters score; the
# log stays JSON; what has gone astray is said to have.
. "$(dirname "$0")/small_store.sh"

early="--set train.steps=2000 --set train.validate_every=10 --set train.patience=2 --set train.learning_rate=0.05"
train 1 cfm.json early $early --set train.select=best
field() { sed -n "/\"training\": {/,/}/s/.*\"$2\": \([0-9]*\).*/\1/p" "$1/record.json"; }
steps=$(field early steps) selected=$(field early selected_step)
[ "$steps" -lt 2000 ] && [ $((selected + 20)) = "$steps" ] || fail "ended at $steps with the parameters of $selected"
[ "$(tail -1 early/metrics.jsonl | cut -d, -f1)" = "{\"step\":$steps" ] || fail "the log ends elsewhere"

# on three ranks, and when only scoring is left to do, the same
train 3 cfm.json ranks $early --set train.select=best
cmp <(result_of early) <(result_of ranks) || fail "another number of ranks, another end"
result_of early >expected
rm early/record.json early/model.h5
train 1 cfm.json early $early --set train.select=best --resume
result_of early | cmp - expected || fail "resumed behind the end: another result"

# without patience all steps are made, and their last one scores
train 1 cfm.json whole
[ "$(field whole steps) $(field whole selected_step) $(field whole skipped_steps)" = "50 50 0" ] || fail "50 steps"

# numbers that are none
status=0
"$WIRESWEEP" train cfm.json -q -o astray --set train.learning_rate=100 --set train.clip=0 --set model.blocks=8 \
    --set train.on_nonfinite=skip --set train.log_every=1 >/dev/null 2>message.txt || status=$?
[ $status = 1 ] && grep -q "steps were left out" message.txt && grep -q "^hint: .*lower train.learning_rate" message.txt ||
    fail "status $status: $(cat message.txt)"
grep -q '"loss":null' astray/metrics.jsonl || fail "no step without a loss: $(tail -3 astray/metrics.jsonl)"
! grep -qi ':-\{0,1\}\(nan\|inf\)' astray/metrics.jsonl || fail "the log is no JSON: $(tail -3 astray/metrics.jsonl)"
[ ! -e astray/record.json ] || fail "a record without scores"
echo "ok"
