#!/bin/bash
# 100,000 flows, more records than one interval between closing points: every flow equals the generator's ground truth.
# ctest: labels=mpi timeout=300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/jobs/truth.sh"
check_truth 2 --flows 100000 --seed 1 --snap-length 128
[ "$(awk '$1 == "records" { print $2 }' counts)" -gt 1048576 ]
