#!/bin/bash
# The capture generator: one seed gives the same bytes, another seed others; formats hold the same flows; every file is
# written whole or not at all.
# ctest: timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
make_capture=$WIRESWEEP_TOOLS/make_capture

$make_capture --flows 700 --seed 5 -o a.pcap --truth a.csv --labels labels.csv >a.counts
$make_capture --flows 700 --seed 5 -o b.pcap --truth b.csv >b.counts
cmp a.pcap b.pcap
cmp a.csv b.csv
cmp a.counts b.counts
$make_capture --flows 700 --seed 6 -o c.pcap --truth c.csv >c.counts
if cmp -s a.pcap c.pcap; then
    echo "another seed gave the same capture"
    exit 1
fi
[ "$(wc -l <a.csv)" = 701 ]
[ "$(wc -l <labels.csv)" = 701 ]
[ "$(cut -d, -f13 a.csv | sort -u | wc -l)" = 8 ] # seven classes and the column's name

# Counters add up, and there is something to skip.
awk '{ n[$1] = $2 } END { exit !(n["records"] == n["packets"] + n["not_ip"] + n["fragment_later"] + n["protocol_other"] &&
    n["not_ip"] > 0 && n["fragment_later"] > 0 && n["protocol_other"] > 0) }' a.counts

# What the file format is does not change the flows: the truth is the same.
$make_capture --flows 700 --seed 5 --swapped -o swapped.pcap --truth swapped.csv >/dev/null
cmp a.csv swapped.csv
$make_capture --flows 700 --seed 5 --format pcapng --snap-length 128 -o short.pcapng --truth short.csv >/dev/null
cmp a.csv short.csv

# Keys are used again on purpose: fewer 5-tuples than flows.
tuples=$(tail -n +2 labels.csv | awk -F, '{ a = $3 " " $4; b = $5 " " $6; print $2, (a < b ? a " " b : b " " a) }' | sort -u | wc -l)
[ "$tuples" -lt 700 ] && [ "$tuples" -gt 600 ]

# An independent reader agrees where it is installed.
if command -v capinfos >/dev/null; then
    [ "$(capinfos -c -M -T -r a.pcap | cut -f2)" = "$(awk '$1 == "records" { print $2 }' a.counts)" ]
    [ "$(capinfos -c -M -T -r short.pcapng | cut -f2)" = "$(awk '$1 == "records" { print $2 }' a.counts)" ]
fi

status=0
$make_capture --flows 10 -o nowhere/a.pcap 2>err || status=$?
[ $status = 1 ] && grep -q 'nowhere/a.pcap' err
[ -z "$(find . -name '*.partial')" ]
