#!/bin/bash
# A store with bytes of packets has the same content hash for any ranks and rounds, from plain and compressed captures and
# with little memory; addresses are nowhere in it unless they are asked for; the rest of it is as without.
# ctest: labels=mpi timeout=180
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
make="$WIRESWEEP_TOOLS/make_capture"

mkdir plain packed
"$make" --flows 150 --seed 1 -o plain/a.pcap >/dev/null
"$make" --flows 100 --seed 2 --format pcapng --snap-length 128 -o plain/b.pcapng >/dev/null
"$make" --flows 20 --seed 3 --link raw -o plain/c.pcap >/dev/null
gzip -c plain/a.pcap >packed/a.pcap.gz
gzip -c plain/b.pcapng >packed/b.pcapng.gz
cp plain/c.pcap packed

bytes="--bytes header:80,payload:240,packets:5"
same_everywhere plain "2:65536 3:1000000000 4:200001" $bytes plain
reference=$(extract_hash 1 1000000000 $bytes plain)
[ "$(extract_hash 2 100000 $bytes packed)" = "$reference" ] || { echo "compressed inputs make another store"; exit 1; }
[ "$(extract_hash 3 100000 $bytes --memory 1M plain)" = "$reference" ] || { echo "little memory makes another store"; exit 1; }
for other in "header:80,payload:240,packets:4" "header:80,payload:241,packets:5" "header:81,payload:239,packets:5"; do
    [ "$(extract_hash 1 100000 --bytes $other plain)" != "$reference" ] || { echo "$other makes the same store"; exit 1; }
done
# Rows are what they are without bytes.
"$WIRESWEEP" extract -q $bytes -o with.h5 plain
"$WIRESWEEP" extract -q -o without.h5 plain
"$WIRESWEEP" export with.h5 | cmp - <("$WIRESWEEP" export without.h5) || { echo "bytes change the rows"; exit 1; }
[ "$("$WIRESWEEP" export --bytes with.h5 | head -1 | tr -d '\r' | grep -o ',header_1,.*')" = \
    ",header_1,payload_1,header_2,payload_2,header_3,payload_3,header_4,payload_4,header_5,payload_5" ] ||
    { echo "the table names its bytes otherwise"; exit 1; }
status=0
"$WIRESWEEP" export --bytes without.h5 2>message >table || status=$?
[ $status -eq 1 ] && grep -q '^error: .*no bytes' message || { echo "export --bytes of a store without ends with $status"; exit 1; }
"$WIRESWEEP" inspect with.h5 | grep -q 'bytes  .*first 5 packets 80 of the header and 240 of the payload; stripped: endpoints' ||
    { echo "inspect does not show the bytes"; exit 1; }

# A header in hex has its addresses and ports, or zeros there (IPv4, no options: most packets of the generator).
headers() { "$WIRESWEEP" export --bytes "$1" | tr -d '\r' | grep -o ',45[0-9a-f]\{54,158\},' | tr -d ,; }
headers with.h5 >stripped
[ "$(wc -l <stripped)" -gt 200 ] || { echo "too few headers: $(wc -l <stripped)"; exit 1; }
! grep -v '^.\{24\}0\{16\}0\{8\}' stripped || { echo "addresses or ports are kept"; exit 1; }
"$WIRESWEEP" extract -q $bytes --set bytes_stripped=nothing -o open.h5 plain 2>message
grep -q '^warning: .*addresses' message || { echo "no warning that addresses are kept"; exit 1; }
headers open.h5 >open
! grep '^.\{24\}0\{16\}' open || { echo "addresses are stripped though nothing should be"; exit 1; }
cmp <(cut -c 1-24 open) <(cut -c 1-24 stripped) || { echo "stripping changes more than endpoints"; exit 1; }
cmp <(cut -c 49- open) <(cut -c 49- stripped) || { echo "stripping changes more than endpoints"; exit 1; }
