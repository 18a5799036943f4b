#!/bin/bash
# ctest: labels=mpi timeout=180
# Killed at a random step, or stopped by a signal, and resumed: the bits of the run that was left alone.
. "$(dirname "$0")/small_store.sh"
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"

long="--set train.steps=600 --set train.checkpoint_every=40 --set train.validate_every=70 --set train.log_every=1"
train 1 cfm.json whole $long
result_of whole >expected

# start FOLDER CALLS [MOMENT [signal]]: in the background, held CALLS calls behind the first checkpoint, or that named MOMENT
start() {
    hold "$1/checkpoints/${3:-step_*}.h5" "$2" record.json "${4:-}"
    "${held[@]}" "$WIRESWEEP" train cfm.json -q $long -o "$1" >/dev/null 2>message.txt &
    pid=$!
    await_hold $pid || fail "$1: the run ended before anything could happen to it: $(cat message.txt)"
}

# kill -9 at a step nobody chose
for attempt in 1 2; do
    calls=$((RANDOM % 500))
    start killed$attempt $calls
    status=0
    "$WIRESWEEP" train cfm.json -q $long --resume -o killed$attempt >/dev/null 2>message.txt || status=$?
    [ $status = 2 ] && grep -q "another process is training in this folder" message.txt ||
        fail "two at once in one folder: status $status $(cat message.txt)"
    kill -9 $pid
    wait $pid 2>/dev/null && fail "the killed run ended well"
    [ ! -e killed$attempt/record.json ] || fail "a killed run left a record"
    ls killed$attempt/checkpoints/*.h5 >/dev/null || fail "killed after $calls calls: no checkpoint"
    train 2 cfm.json killed$attempt $long --resume
    result_of killed$attempt | cmp - expected || fail "killed after $calls calls: another result"
done
# every step is logged once
[ "$(grep -c '"loss"' killed1/metrics.jsonl)" = 600 ] || fail "metrics.jsonl has not every step once"
[ "$(grep '"loss"' killed1/metrics.jsonl | sed 's/,"ms.*//')" = "$(grep '"loss"' whole/metrics.jsonl | sed 's/,"ms.*//')" ] ||
    fail "metrics.jsonl of the resumed run differs"

# signals: a checkpoint, status 75, and --resume
for signal in TERM INT USR1 USR2; do
    start stopped.$signal $((RANDOM % 200)) "" signal
    kill -$signal $pid
    status=0
    wait $pid || status=$?
    [ $status = 75 ] || fail "SIG$signal: status $status, not 75: $(cat message.txt)"
    grep -q -- "--resume" message.txt || fail "SIG$signal: the message does not say how to go on"
    train 1 cfm.json stopped.$signal $long --resume
    result_of stopped.$signal | cmp - expected || fail "stopped by SIG$signal: another result"
done

# a folder that is in use is refused, a finished run is not done again, another configuration does not continue it
status=0
"$WIRESWEEP" train cfm.json -q $long -o whole >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q -- "--resume" message.txt || fail "a used folder was not refused"
before=$(cat whole/record.json)
train 1 cfm.json whole $long --resume
[ "$before" = "$(cat whole/record.json)" ] || fail "a finished run was changed"
status=0
"$WIRESWEEP" train cfm.json -q $long --set model.sigma=0.3 --resume -o whole >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q "finished run" message.txt || fail "a finished run passed for another one: $(cat message.txt)"
[ "$before" = "$(cat whole/record.json)" ] || fail "a finished run was changed"
rm whole/record.json
status=0
"$WIRESWEEP" train cfm.json -q $long --set model.sigma=0.3 --resume -o whole >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q "another configuration" message.txt || fail "continued with another configuration: $(cat message.txt)"

# the newest checkpoint is damaged: the one before serves
start damaged $((RANDOM % 30)) "step_*120"
kill -9 $pid
wait $pid 2>/dev/null || true
newest=$(ls damaged/checkpoints/step_*.h5 | tail -1)
[ "$(ls damaged/checkpoints/step_*.h5 | wc -l)" -ge 2 ] || fail "keep=2 keeps fewer"
head -c 2000 "$newest" >cut && cp cut "$newest"
train 1 cfm.json damaged $long --resume 2>message.txt || fail "damaged checkpoint: $(cat message.txt)"
result_of damaged | cmp - expected || fail "resumed from the checkpoint before a damaged one: another result"
echo "ok"
