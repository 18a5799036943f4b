#!/bin/bash
# An extraction that is told to stop, or whose input shrinks under it, ends with the right status and message, on all ranks,
# and leaves nothing behind.
# ctest: labels=mpi,slow timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$WIRESWEEP_TOOLS/make_capture" --flows 40000 --seed 12 --snap-length 128 -o large.pcap >/dev/null

# start_extraction COMMAND...: in the background; returns once the store is being written
start_extraction() {
    "$@" extract -q --set round_bytes=400000 -o store.h5 large.pcap >output 2>messages &
    process=$!
    for _ in $(seq 400); do
        [ -e store.h5.partial ] && return
        sleep 0.02
    done
    echo "the extraction did not start"
    exit 1
}

# expect_end STATUS WORDS
expect_end() {
    local status=0
    wait "$process" || status=$?
    [ "$status" -eq "$1" ] || { echo "status $status instead of $1"; cat messages; exit 1; }
    grep -q "$2" messages || { echo "no word of '$2'"; cat messages; exit 1; }
    [ -z "$(ls | grep '^store')" ] || { echo "left behind:"; ls; exit 1; }
}

for signal in TERM INT USR1 USR2; do
    start_extraction "$WIRESWEEP"
    kill -"$signal" "$process"
    expect_end 75 'stopped'
done
start_extraction mpirun -n 3 "$WIRESWEEP"
kill -USR2 "$process"
expect_end 75 'stopped'

start_extraction mpirun -n 3 "$WIRESWEEP"
truncate -s 2000000 large.pcap
expect_end 1 'large.pcap: ends at byte 2000000, but had'
