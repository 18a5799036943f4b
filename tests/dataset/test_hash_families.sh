#!/bin/bash
# Every family's store has the same content hash with other ranks and rounds, from compressed inputs, and with the inputs in
# another order.
# ctest: labels=mpi,compare timeout=400
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/hash_families.sh"
make_inputs 400 24
same_for_every_family "2:65536:plain 3:20000:packed"
