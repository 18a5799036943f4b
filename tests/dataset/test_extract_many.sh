#!/bin/bash
# Many small captures, plain and compressed, of sizes that differ much: the same store for any ranks, whether they are named
# as a directory, a glob or a list; and every one of them is in it.
# ctest: labels=mpi timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
fail() { echo "FAIL: $*"; exit 1; }
mkdir in
for seed in 1 2 3 4; do
    "$WIRESWEEP_TOOLS/make_capture" --flows $((seed * seed)) --seed $seed -o base$seed.pcap >/dev/null
    gzip -k base$seed.pcap
done
for i in $(seq 100 399); do
    case $((i % 3)) in
    0) cp base$((i % 4 + 1)).pcap.gz in/$i.pcap.gz ;;
    *) cp base$((i % 4 + 1)).pcap in/$i.pcap ;;
    esac
done
same_everywhere "many files" "2:50000 3:1000000000 4:20000" in
reference=$("$WIRESWEEP" inspect --hash compared.h5)
[ "$("$WIRESWEEP" inspect --json compared.h5 | jq '.inputs | length')" = 300 ] || fail "not 300 inputs"
ls in | sort -r | sed 's|^|in/|' >list.txt
[ "$(extract_hash 2 30000 @list.txt)" = "$reference" ] || fail "a list in another order gives another store"
[ "$(extract_hash 2 30000 'in/1*.pcap*' 'in/[23]*')" = "$reference" ] || fail "globs give another store"
