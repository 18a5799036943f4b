#!/bin/bash
# 3,000 flows a capture, in several formats: flow count, counts, times, labels and the 20 features of each flow equal the
# generator's ground truth.
# ctest: labels=mpi timeout=240
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/jobs/truth.sh"
check_truth 2 --flows 3000 --seed 1
check_truth 2 --flows 3000 --seed 2 --nanoseconds --swapped --link raw
check_truth 2 --flows 1000 --seed 3 --format pcapng --link sll2
check_truth 3 --flows 1000 --seed 4 --adversarial 20000
check_truth 1 --flows 1000 --seed 5 --snap-length 128 --link null
