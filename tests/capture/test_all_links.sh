#!/bin/bash
# The same traffic behind the header of every link type that is decoded: it comes out the same behind each, and as tshark has it.
# ctest: timeout=120
set -eu -o pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
mkdir links
python3 -B "$WIRESWEEP_SOURCE/tests/reference/make_links.py" links

# Without the wire and captured lengths, which the header is part of. Some headers are those of one IP version.
decoded() {
    "$WIRESWEEP_TOOLS/dump_packets" "$1" | cut -f 2,3,5-11
}
compared=0
for capture in links/*.pcap; do
    decoded "$capture" >ours
    records=$(wc -l <ours)
    case $records in
    26) from=1 to=26 ;;
    14) from=1 to=14 ;;
    12) from=15 to=26 ;;
    *) echo "$capture: $records records" && exit 1 ;;
    esac
    decoded links/101a.pcap | sed -n "${from},${to}p" >raw
    diff -u raw ours || { echo "$capture: not the packets of raw IP"; exit 1; }
    compared=$((compared + 1))
done
[ $compared -ge 75 ] || { echo "only $compared captures"; exit 1; }
[ "$(grep -c ok raw)" -gt 5 ]

# A link type that is not decoded is named, and its records are counted; of the others there is no such word.
{ head -c 20 links/101a.pcap; printf '\343\0\0\0'; tail -c +25 links/101a.pcap; } >can.pcap
"$WIRESWEEP" extract -o can.h5 can.pcap 2>messages
grep -q 'can.pcap: link type 227 (CAN_SOCKETCAN) is not decoded' messages
"$WIRESWEEP" inspect --json can.h5 | tr -d '\n\t ' >about
grep -q '"link_unsupported":26' about
"$WIRESWEEP" extract -q -o all.h5 links 2>messages
if grep 'is not decoded' messages; then exit 1; fi

for program in tshark mergecap capinfos; do
    command -v $program >/dev/null || { echo "$compared link headers; no $program to compare with"; exit 0; }
done
# tshark shows nothing behind SLIP or a preamble, and takes classical IP over ATM for IP at once.
python3 -B "$WIRESWEEP_SOURCE/tests/reference/against_tshark.py" --least 1500 $(ls links/*.pcap | grep -v 'links/8a\|links/241a\|links/106a')
