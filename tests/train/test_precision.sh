#!/bin/bash
# ctest: labels=mpi timeout=120
# Training with products of bfloat16 factors: the same parameters, scores and metrics on 1, 2, 3 and 4 ranks and on 2 threads; others
# than in single precision, under another identity, and nearly the same quality. Models without a network refuse it.
. "$(dirname "$0")/small_store.sh"

train 1 cfm.json single
train 1 cfm.json bf16 --set train.precision=bf16
result_of bf16 >expected
grep -q '"precision": "bf16"' expected || fail "the result does not say bf16"
for ranks in 2 3 4; do
    train $ranks cfm.json bf16.$ranks --set train.precision=bf16
    result_of bf16.$ranks | cmp - expected || fail "$ranks ranks give another result than one"
done
train 1 cfm.json bf16.threads --set train.precision=bf16 --set train.threads=2
result_of bf16.threads | cmp - expected || fail "2 threads give another result than one"
[ "$(parameter_hash bf16)" != "$(parameter_hash single)" ] || fail "bf16 gives the parameters of fp32"
id_of() { sed -n 's/^  "id": "\([0-9a-f]*\)".*/\1/p' "$1/record.json"; }
[ "$(id_of bf16)" != "$(id_of single)" ] || fail "bf16 has the identity of fp32"
auroc_of() { grep -om1 '"auroc": [0-9.]*' "$1/record.json" | cut -d' ' -f2; }
awk -v a="$(auroc_of single)" -v b="$(auroc_of bf16)" 'BEGIN { exit !(a > 0.5 && a - b < 0.02 && b - a < 0.02) }' ||
    fail "auroc $(auroc_of single) in single precision, $(auroc_of bf16) with bf16"

status=0
"$WIRESWEEP" train logistic.json -q -o refused --set train.precision=bf16 >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q 'train.precision: "bf16" is for networks' message.txt || fail "logistic with bf16: $(cat message.txt)"
status=0
"$WIRESWEEP" train cfm.json -q -o refused --set train.isa=amx >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q 'train.isa: amx is for train.precision = "bf16"; in single precision pin avx512' message.txt ||
    fail "amx in single precision: $(cat message.txt)"

# The instruction set of a result: tiles count where they multiply, and what they do not touch is avx512's.
best=$("$WIRESWEEP" doctor | sed -n 's/.*in use, \([a-z0-9]*\) is the best.*/\1/p')
grep -q "\"isa\": \"$best\"" bf16/record.json || fail "bf16 ran on $best, but the record does not say so"
[ "$best" != amx ] || best=avx512
grep -q "\"isa\": \"$best\"" single/record.json || fail "single precision ran on $best, but the record does not say so"
echo "ok"
