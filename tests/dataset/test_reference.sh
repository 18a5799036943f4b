#!/bin/bash
# Flows of random captures agree, one by one and in their order, with a second implementation that shares no code with ours
# (tests/reference): keys, times, counts, ends, features, stored packets, reasons of skipped records.
# ctest: labels=compare timeout=240
set -euo pipefail
for program in python3 h5dump; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
reference="$WIRESWEEP_SOURCE/tests/reference"

# compare "SETTINGS OF THE PROGRAM" "THE SAME FOR THE REFERENCE" ARGUMENT...: of the generator
compare() {
    local settings=$1 options=$2
    shift 2
    python3 -B "$reference/make_odd.py" "$@" -o odd.pcap
    # shellcheck disable=SC2086
    "$WIRESWEEP" extract -q --endpoints plain --set round_bytes=50000 $settings -o odd.h5 odd.pcap
    # shellcheck disable=SC2086
    python3 -B "$reference/compare.py" $options odd.h5 odd.pcap || { echo "differs: $*"; exit 1; }
}

seed=100
for link in ethernet raw null loop sll sll2 radiotap wlan ppp pppoe; do
    compare "" "" --seed $((seed++)) --link $link --packets 1200
done
compare "" "" --seed 200 --format pcapng --swapped
compare "--set idle_timeout=30 --set active_timeout=10" "--idle 30 --active 10" --seed 201
compare "--set direction=syn --packets 5" "--direction syn --stored 5" --seed 202 --link sll --format pcapng

# Three closing points within the input, cheaply: most records are no IP.
compare "--set round_bytes=20000000" "" --seed 203 --packets 3000 --filler 2200000
