#!/bin/bash
# Where the live flows of one rank do not fit its memory and those of another do, rows that leave in the midst of an input come in
# the order that they have anywhere, also when the run is killed while flows wait in files and goes on from a checkpoint.
# ctest: labels=mpi,slow timeout=240
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/interrupt.sh"
settings="--set round_bytes=1000000 --set checkpoint_bytes=25000000"
# More than the 2^20 records between two points where flows leave; an hour passes in the midst, and most are the first rank's.
"$WIRESWEEP_TOOLS/many_flows" 560000 2 many.pcap 2 32
[ "$(stat -c %s many.pcap)" -gt $((76 * ((1 << 20) + 50000))) ] || fail "too few records"
whole many.pcap
spilled=$(mpirun -n 2 "$WIRESWEEP" extract -q --json --memory 128M -o store.h5 many.pcap | sed -n 's/.*"spilled_bytes":[^0-9]*\([0-9]*\).*/\1/p')
[ "$spilled" -gt 100000000 ] || fail "only $spilled bytes went through files"
same "flows of one rank in files"
interrupt 2 1 --memory 128M many.pcap
interrupt 1 1 --memory 16M --resume many.pcap
finish 2 --memory 128M many.pcap
same "killed with flows in files"
