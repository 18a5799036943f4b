#!/bin/bash
# Every family, 1 to 8 ranks, rounds of 1 MiB to 1 GiB, plain and compressed: one content hash.
# ctest: labels=mpi,slow timeout=2400
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/hash_families.sh"
make_inputs 5000 300
ways="1:1048576:plain 2:33554432:plain 1:1048576:packed 3:1048576:packed 8:1048576:packed 2:1073741824:packed"
for ranks in 2 3 4 8; do
    ways+=" $ranks:1048576:plain $ranks:1073741824:plain"
done
same_for_every_family "$ways"
