#!/bin/bash
# ctest: labels=mpi timeout=60
# Every feature table of flows in one store: the same for any number of ranks, and exported under the names that are listed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
"$WIRESWEEP_TOOLS/make_capture" --flows 80 --seed 5 -o a.pcap >/dev/null
"$WIRESWEEP" list features --json >features.json
jq -r '.[] | select(.table != "packet9") | .table' features.json | uniq >tables
[ "$(wc -l <tables)" -ge 19 ] || fail "tables are missing: $(cat tables)"
for ranks in 1 2 4; do
    mpirun -q -n $ranks "$WIRESWEEP" extract -q --packets 200 --features "$(paste -sd, tables)" --set round_bytes=20000 -o $ranks.h5 a.pcap
    "$WIRESWEEP" inspect --hash $ranks.h5 >>hashes
done
[ "$(sort -u hashes | wc -l)" = 1 ] || fail "ranks make other features: $(cat hashes)"
while read -r table; do
    "$WIRESWEEP" export -q 1.h5 --features "$table" -o table.csv
    jq -r --arg table "$table" '.[] | select(.table == $table) | .name' features.json | paste -sd, >wanted
    head -n 1 table.csv | tr -d '\r' | grep -q ",$(cat wanted)\$" || fail "$table is exported under other names"
    [ "$(wc -l <table.csv)" = 81 ] || fail "$table has not a row a flow"
done <tables
# A table that lacks packets says so.
"$WIRESWEEP" extract --packets 8 --features first10,baseline_5,five_stat -o few.h5 a.pcap 2>said
[ "$(grep -c 'stored packets of a flow at least' said)" = 1 ] && grep -q 'table first10 needs 10 ' said ||
    fail "a table without its packets is not told of: $(cat said)"
