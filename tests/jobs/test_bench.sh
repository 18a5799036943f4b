#!/usr/bin/env bash
# ctest: labels=jobs,bench,slow timeout=120
# Every benchmark prints values with the ceilings they are ratios of; ratios are plausible, not judged.
set -euo pipefail
fail() { echo "FAIL: $*"; exit 1; }

check() {
    python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert rows and any("ratio" in r for r in rows), rows
for r in rows:
    assert r["value"] > 0 and r["unit"], r
    if "ratio" in r:
        assert r["of"] and abs(r["ratio"] - r["value"] / r["ceiling"]) < 1e-3 * max(1, r["ratio"]), r
        assert 0 < r["ratio"] < 10, r
' || fail "$1"
}
"$WIRESWEEP" bench engine --json | check engine
"$WIRESWEEP" bench extract --json | check extract
mpirun -n 2 "$WIRESWEEP" bench reduce --json | check reduce
"$WIRESWEEP" bench reduce | grep -q '% of ' || fail "the table for people shows no ratio"
status=0
"$WIRESWEEP" bench nothing 2>/dev/null || status=$?
[ $status = 2 ] || fail "an unknown benchmark ends with status $status"
echo "bench: all as expected"
