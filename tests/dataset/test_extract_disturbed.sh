#!/bin/bash
# An extraction that is told to stop ends with status 75 on all ranks, leaves no store but what --resume goes on from, to the
# same store; one whose input shrinks under it says so and leaves nothing behind.
# ctest: labels=mpi,slow timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 40000 --seed 12 --snap-length 128 -o large.pcap >/dev/null

# start_extraction CALLS COMMAND...: in the background; returns once so many calls have written to the store
start_extraction() {
    hold store.h5.partial "$1" store.h5 signal
    "${@:2}" "${held[@]}" "$WIRESWEEP" extract -q --set round_bytes=400000 -o store.h5 large.pcap >output 2>messages &
    process=$!
    await_hold "$process" || { echo "the extraction ended before anything could happen to it"; cat messages; exit 1; }
}

# expect_end STATUS WORDS
expect_end() {
    local status=0
    wait "$process" || status=$?
    [ "$status" -eq "$1" ] || { echo "status $status instead of $1"; cat messages; exit 1; }
    grep -q "$2" messages || { echo "no word of '$2'"; cat messages; exit 1; }
    [ ! -e store.h5 ] || { echo "a store under its final name:"; ls; exit 1; }
}

# expect_stopped RANKS: goes on where the run was stopped, where it had read anything
expect_stopped() {
    expect_end 75 'stopped'
    grep -q '^hint: ' messages || { echo "no word of how to go on"; cat messages; exit 1; }
    if [ -e store.h5.partial ]; then
        grep -q -- '--resume' messages || { echo "no word of --resume"; cat messages; exit 1; }
        status=0
        "$WIRESWEEP" extract -q -o store.h5 large.pcap 2>messages || status=$?
        [ $status -eq 2 ] && grep -q 'interrupted' messages && grep -q -- '--resume' messages ||
            { echo "what was interrupted was not refused: $status"; cat messages; exit 1; }
    fi
    mpirun -n "$1" "$WIRESWEEP" extract -q --resume -o store.h5 large.pcap
    [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$whole" ] || { echo "another store after --resume"; exit 1; }
    rm store.h5
    [ -z "$(ls | grep '^store')" ] || { echo "left behind:"; ls; exit 1; }
}

"$WIRESWEEP" extract -q -o store.h5 large.pcap
whole=$("$WIRESWEEP" inspect --hash store.h5)
rm store.h5
for signal in TERM INT USR1 USR2; do
    start_extraction $((RANDOM % 20))
    kill -"$signal" "$process"
    expect_stopped 2
done
start_extraction $((RANDOM % 20)) mpirun -n 3
kill -USR2 "$process"
expect_stopped 1

start_extraction 0 mpirun -n 3
truncate -s 2000000 large.pcap
let_go
expect_end 1 'large.pcap: ends at byte 2000000, but had'
[ -z "$(ls | grep '^store')" ] || { echo "left behind:"; ls; exit 1; }
