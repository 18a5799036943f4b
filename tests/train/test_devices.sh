#!/bin/bash
# ctest: labels=mpi timeout=120
# The program on simulated GPUs: a record that says so and is the same for any number of them; GPUs that are too few, too small or fail
# in the middle end a run with a message, and what had been done before is kept.
[ -n "${WIRESWEEP_EMULATED:-}" ] || { echo "skipped: this build has no simulated GPUs"; exit 77; }
. "$(dirname "$0")/small_store.sh"
cpu=$WIRESWEEP
WIRESWEEP=$WIRESWEEP_EMULATED
few="--set train.steps=8 --set model.width=8 --set model.time_features=8 --set train.batch=32 --set train.validate_every=8"

train 1 cfm.json one $few --device cuda
result_of one >expected
grep -q '"device": "cuda"' expected || fail "the record does not say that it was trained on a GPU"
# Scores are made where the network was trained, or where evaluate is told to.
"$WIRESWEEP" evaluate one --device cuda -q -o scores_device.json
[ "$(jq -r .score_hash scores_device.json)" = "$(jq -r .result.score_hash one/record.json)" ] || fail "evaluate --device cuda gives other scores"
"$cpu" evaluate one -q -o scores_cpu.json
[ "$(jq -r .score_hash scores_cpu.json)" != "$(jq -r .score_hash scores_device.json)" ] || fail "the same bits on CPU and GPU: were scores made there?"
train 4 cfm.json four $few --device cuda --set train.bucket_kib=1
result_of four | cmp - expected || fail "four GPUs give another result than one"
train 2 cfm.json fast $few --device cuda --set train.reduction=fast
id_of() { sed -n 's/^  "id": "\([0-9a-f]*\)".*/\1/p' "$1/record.json"; }
WIRESWEEP=$cpu train 1 cfm.json cpu $few
[ "$(id_of cpu)" != "$(id_of one)" ] && [ "$(id_of fast)" != "$(id_of one)" ] || fail "other devices or sums, the same identity"

# complains STATUS TEXT RANKS FOLDER ARGUMENT...
complains() {
    local wanted=$1 text=$2 ranks=$3 folder=$4 status=0
    shift 4
    mpirun -q -n "$ranks" "$WIRESWEEP" train cfm.json -q $few --device cuda -o "$folder" "$@" >/dev/null 2>message.txt || status=$?
    [ $status = "$wanted" ] && grep -qF -- "$text" message.txt || fail "status $status, expected $wanted and \"$text\": $(cat message.txt)"
}
WIRESWEEP_EMULATED_DEVICES=2 complains 1 "3 ranks, but this one sees 2 GPUs" 3 many
CUDA_VISIBLE_DEVICES=1 complains 1 "2 ranks, but this one sees 1 GPU and" 2 hidden
WIRESWEEP_EMULATED_DEVICES=0 complains 1 ": no GPU: the driver shows no device" 1 none
[ ! -e none ] && [ ! -e many ] || fail "a run that did not begin leaves a folder that the next one is refused for"
WIRESWEEP_EMULATED_MEMORY=120000000 WIRESWEEP_TRIALS_PER_DEVICE=4 complains 1 "of which it may have 28.6 MiB" 1 small
complains 2 'train.device: "cuda" is for networks' 1 classical --set model='{"kind": "mahalanobis"}'

# Sums that fail or never end: the checkpoint of the step before, from which the run goes on to the same result.
for failure in error:9 hang:9; do
    WIRESWEEP_EMULATED_NCCL=$failure complains 1 "could not be done" 2 $failure --set train.reduction_timeout=0.2
    ls $failure/checkpoints/step_*.h5 >/dev/null || fail "$failure: no checkpoint"
    [ ! -e $failure/record.json ] || fail "$failure: a record"
    train 2 cfm.json $failure $few --device cuda --resume
    result_of $failure | cmp - expected || fail "$failure: resumed, and another result"
done
echo "ok"
