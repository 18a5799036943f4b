#!/bin/bash
# A million flows alive at once, in less memory than they take: the same store, and the process stays within the bound.
# ctest: labels=slow timeout=240
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$WIRESWEEP_TOOLS/many_flows" 1000000 2 many.pcap
field() { sed -n "s/.*\"$1\":[^0-9a-f]*\([0-9a-f]*\).*/\1/p" "$2"; }
"$WIRESWEEP" extract -q --json -o all.h5 many.pcap >all
"$WIRESWEEP" extract -q --json --memory 256M -o bounded.h5 many.pcap >bounded
[ "$(field content_hash all)" = "$(field content_hash bounded)" ] || { echo "another store"; cat all bounded; exit 1; }
[ "$(field spilled_bytes bounded)" -gt 100000000 ] || { echo "nothing went through files"; cat bounded; exit 1; }
peak=$(field peak_memory_bytes bounded)
echo "peak: $(field peak_memory_bytes all) bytes with memory for all, $peak bound to 268435456"
[ "$peak" -le 268435456 ] || { echo "$peak bytes of 268435456"; exit 1; }
