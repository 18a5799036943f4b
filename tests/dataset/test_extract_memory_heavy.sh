#!/bin/bash
# 50 million flows alive at once in 2 GiB, and some millions also with memory for all: the same store, and the processes stay
# within the bound. Takes some minutes, 60 GB beside TMPDIR and 10 GB of memory.
# ctest: labels=heavy timeout=14400
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
field() { sed -n "s/.*\"$1\":[^0-9a-f]*\([0-9a-f]*\).*/\1/p" "$2"; }
# extract MEMORY: prints the content hash, which is made from what the file holds
extract() {
    "$WIRESWEEP" extract -q --json ${1:+--memory $1} -o many.h5 many.pcap >report
    echo "$(field flows report) flows, ${1:-no bound}: $(field seconds report) s, peak $(field peak_memory_bytes report)," \
        "spilled $(field spilled_bytes report)" >&2
    [ -z "$1" ] || [ "$(field peak_memory_bytes report)" -le "$(numfmt --from=iec "$1")" ] || { echo "more than $1" >&2; return 1; }
    "$WIRESWEEP" inspect --hash many.h5
    rm many.h5
}
"$WIRESWEEP_TOOLS/many_flows" 5000000 2 many.pcap
all=$(extract "") bounded=$(extract 1G)
[ "$all" = "$bounded" ] || { echo "5 million flows: another store with 1 GiB"; exit 1; }
"$WIRESWEEP_TOOLS/many_flows" 50000000 1 many.pcap
two=$(extract 2G) six=$(extract 6G)
[ "$two" = "$six" ] || { echo "50 million flows: another store with 6 GiB than with 2"; exit 1; }
