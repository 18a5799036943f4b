#!/bin/bash
# The sweep that lies in results/synthetic_sweep gives its records again, on one rank and on two; one that was tampered with is named.
# ctest: labels=cli timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
cp -r "$WIRESWEEP_SOURCE/results/synthetic_sweep" kept
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv --packets 8 -o kept/store.h5 synthetic.pcap
verify() { # verify STATUS ARGUMENT...
    local expected=$1 status=0
    shift
    "$WIRESWEEP" verify -q "$@" kept >said 2>message || status=$?
    [ $status = "$expected" ] || fail "status $status, not $expected: $* $(cat said message)"
}
verify 0 --workers 2
[ "$(grep -cE '^[0-9a-f]{16} (same bits|within tolerance) ' said)" = "$(find kept/trials -name record.json | wc -l)" ] ||
    fail "not every trial was run again: $(cat said)"
[ "$(grep -c 'same bits.*flow_cfm' said)" = 3 ] || fail "pinned to one instruction set, and not the same bits: $(cat said)"
verify 0 --ranks 2 --cell model.kind=flow_cfm,train.seed=2
grep -q 'same bits' said || fail "two ranks: $(cat said)"

record=$(grep -l '"flow_cfm"' kept/trials/*/record.json | head -n 1)
id=$(basename "$(dirname "$record")")
sed -i 's/"auprc": 0\.[0-9]/"auprc": 0.9/' "$record"
cmp -s "$record" "$WIRESWEEP_SOURCE/results/synthetic_sweep/trials/$id/record.json" && fail "nothing was changed"
verify 1 --cell "id=$id"
grep -q "^$id different.*auprc: 0.9[0-9]* recorded" said || fail "a changed record is not named: $(cat said)"
