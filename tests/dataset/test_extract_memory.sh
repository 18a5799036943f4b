#!/bin/bash
# A bound on memory changes no row: live flows that do not fit go through files, parts that still do not are dealt out again,
# rows wait in files where ranks wait for each other, sessions and hosts that do not fit get their numbers at the end, and
# nothing of all this is left beside the store.
# ctest: labels=mpi timeout=180
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"

mkdir inputs
"$WIRESWEEP_TOOLS/many_flows" 40000 3 inputs/a.pcap
"$WIRESWEEP_TOOLS/make_capture" --flows 3000 --seed 1 -o inputs/b.pcap >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 2 --format pcapng -o inputs/c.pcapng >/dev/null
"$WIRESWEEP_TOOLS/many_flows" 6000 1 inputs/d.pcap 3
reference=$(extract_hash 1 1000000000 inputs)
tried="1 2 3"
[ -z "${WIRESWEEP_FEW:-}" ] || tried=2
for ranks in $tried; do
    for memory in 1M 16M; do
        [ "$(extract_hash $ranks 300000 --memory $memory inputs)" = "$reference" ] ||
            { echo "$ranks ranks with $memory make another store"; exit 1; }
    done
done
[ "$(ls)" = "$(printf 'compared.h5\ninputs')" ] || { echo "left behind:"; ls; exit 1; }

spilled=$("$WIRESWEEP" extract -q --json --memory 1M -o small.h5 inputs | sed -n 's/.*"spilled_bytes":[^0-9]*\([0-9]*\).*/\1/p')
[ "$spilled" -gt 10000000 ] || { echo "only $spilled bytes went through files"; exit 1; }
spilled=$("$WIRESWEEP" extract -q --json --memory 4G -o large.h5 inputs | sed -n 's/.*"spilled_bytes":[^0-9]*\([0-9]*\).*/\1/p')
[ "$spilled" -eq 0 ] || { echo "$spilled bytes went through files with memory for all"; exit 1; }

# Little that is compressed holds much; what one rank reads of it for the others is within the bound too.
if [ -z "${WIRESWEEP_FEW:-}" ]; then
    "$WIRESWEEP_TOOLS/many_flows" 300 4000 packed.pcap
    gzip -1 packed.pcap
    for ranks in 1 2 4; do
        peak=$(mpirun -n $ranks "$WIRESWEEP" extract -q --json --memory 128M -o packed.h5 packed.pcap.gz |
            sed -n 's/.*"peak_memory_bytes":[^0-9]*\([0-9]*\).*/\1/p')
        [ "$peak" -le 134217728 ] || { echo "compressed, $ranks ranks: $peak bytes of 134217728"; exit 1; }
    done
    # and of many
    "$WIRESWEEP_TOOLS/many_flows" 300 534 some.pcap
    gzip -1 some.pcap
    mkdir many
    for i in {1..14}; do cp some.pcap.gz many/$i.pcap.gz; done
    "$WIRESWEEP" extract -q -o packed.h5 many
    want=$("$WIRESWEEP" inspect --hash packed.h5)
    for ranks in 1 2 4; do
        peak=$(mpirun -n $ranks "$WIRESWEEP" extract -q --json --memory 128M -o packed.h5 many |
            sed -n 's/.*"peak_memory_bytes":[^0-9]*\([0-9]*\).*/\1/p')
        [ "$peak" -le 134217728 ] || { echo "14 compressed, $ranks ranks: $peak bytes of 134217728"; exit 1; }
        [ "$("$WIRESWEEP" inspect --hash packed.h5)" = "$want" ] || { echo "14 compressed, $ranks ranks: another store"; exit 1; }
    done
fi

for wrong in 12 4X 4GB -1 ''; do
    status=0
    "$WIRESWEEP" extract -q --memory "$wrong" -o wrong.h5 inputs 2>message || status=$?
    [ $status -eq 2 ] && grep -q '^error: .*--memory' message || { echo "--memory '$wrong' ends with $status"; cat message; exit 1; }
done
