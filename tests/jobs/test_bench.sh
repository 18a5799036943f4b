#!/usr/bin/env bash
# ctest: labels=jobs,bench,slow timeout=120
# Every benchmark prints values with the ceilings they are ratios of, and says whether targets are met; ratios are plausible, not
# judged.
set -euo pipefail
fail() { echo "FAIL: $*"; exit 1; }

check() {
    jq -e 'def distance(a; b): (a - b) | if . < 0 then -. else . end;
        length > 0 and any(.[]; has("ratio"))
        and all(.[]; .value > 0 and .unit != "")
        and all(.[] | select(has("ratio")); .of != "" and .ratio > 0 and .ratio < 10
                                            and distance(.ratio; .value / .ceiling) < 0.001 + 0.001 * .ratio)
        and all(.[] | select(has("target")); .met == (if has("ratio") then .value >= .target * .ceiling
                                                      else .value <= .target end)
                                             or distance(.ratio // .value; .target) < 0.001)' \
        >/dev/null || fail "$1"
}
"$WIRESWEEP" bench engine --json | check engine
"$WIRESWEEP" bench models --json | check models
mpirun -n 2 "$WIRESWEEP" bench models --json | check "models on two ranks"
"$WIRESWEEP" bench extract --json | check extract
mpirun -n 2 "$WIRESWEEP" bench extract --json | check "extract on two ranks"
mpirun -n 2 "$WIRESWEEP" bench reduce --json | check reduce
"$WIRESWEEP" bench trees --json | jq -e 'length == 6 and all(.[]; .value > 0)' >/dev/null || fail trees
"$WIRESWEEP" bench features --json | jq -e 'length > 0 and all(.[]; .value > 0 and .unit == "us/flow")' >/dev/null || fail features
"$WIRESWEEP" bench reduce | grep -q '% of ' || fail "the table for people shows no ratio"
status=0
"$WIRESWEEP" bench nothing 2>/dev/null || status=$?
[ $status = 2 ] || fail "an unknown benchmark ends with status $status"
echo "bench: all as expected"
