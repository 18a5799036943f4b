#!/bin/bash
# More records than two intervals between closing points: rows leave in the middle of the input, and still the content hash
# does not show ranks or rounds, nor files that are joined.
# ctest: labels=mpi,slow timeout=300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
records=$("$WIRESWEEP_TOOLS/make_capture" --flows 160000 --seed 11 --snap-length 128 -o large.pcap |
    awk '$1 == "records" { print $2 }')
[ "$records" -gt 2097152 ] || { echo "only $records records"; exit 1; }
same_everywhere large "2:1000000000 3:7000001 1:3000000" large.pcap
mkdir parts
"$WIRESWEEP_TOOLS/split_capture" large.pcap parts large 700001
mkdir whole
mv large.pcap whole/large-000.pcap
whole=$(extract_hash 1 1000000000 whole/large-000.pcap)
[ "$(extract_hash 2 7000001 --join parts)" = "$whole" ] || { echo "joined parts are not the whole"; exit 1; }
