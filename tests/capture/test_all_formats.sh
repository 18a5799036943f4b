#!/bin/bash
# Captures in every file format that is read, as Wireshark's tools write them: the same packets as in the pcap that they were
# made of, and as tshark has them; plain and compressed, and as far as possible where they are damaged.
# ctest: timeout=120
set -eu -o pipefail
for program in tshark editcap mergecap capinfos python3; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
reference="$WIRESWEEP_SOURCE/tests/reference"
mkdir links made
python3 -B "$reference/make_links.py" links
for seed in 1 2 3; do
    "$WIRESWEEP_TOOLS/make_capture" --flows 30 --seed $seed --snap-length 200 -o whole.pcap >/dev/null
    for format in pcap nsecpcap modpcap nokiapcap rh6_1pcap suse6_3pcap pcapng snoop; do
        editcap -F $format whole.pcap made/$seed.$format 2>/dev/null || rm -f made/$seed.$format
    done
done
for link in 6a 10a 9b 101a 104a 113a 127a 276a; do
    for format in nsecpcap modpcap rh6_1pcap suse6_3pcap pcapng snoop; do
        editcap -F $format links/$link.pcap made/$link.$format 2>/dev/null || rm -f made/$link.$format
    done
done
cp links/mixed.erf made/1.erf # which Wireshark does not make of others
gzip -k made/1.snoop
xz -k made/1.erf
made=$(ls made | wc -l)
echo "$made captures"
[ "$made" -ge 50 ] || { ls made; exit 1; }
python3 -B "$reference/against_tshark.py" --least 8000 made/*

# Compressed and plain are the same.
dump() { "$WIRESWEEP_TOOLS/dump_packets" "$1"; }
cmp <(dump made/1.snoop) <(dump made/1.snoop.gz)
cmp <(dump made/1.erf) <(dump made/1.erf.xz)
cmp <(dump made/1.pcap | cut -f 2,5-11) <(dump made/1.snoop | cut -f 2,5-11)

# A stretch of nonsense and a cut end cost what they cover: nearly all records are still there, and both are told.
for format in snoop erf; do
    records=$(dump made/1.$format | wc -l)
    cp made/1.$format damaged.$format
    head -c 200 /dev/zero | tr '\0' '\377' | dd of=damaged.$format bs=1 seek=20001 conv=notrunc status=none
    truncate -s -3 damaged.$format
    left=$(dump damaged.$format | wc -l)
    [ "$left" -lt "$records" ] && [ "$left" -gt $((records - 12)) ] || { echo "$format: $left of $records records"; exit 1; }
    "$WIRESWEEP" inspect --json damaged.$format | tr -d '\n\t ' >told
    grep -q '"damage_runs":2,' told || { cat told; exit 1; }
    grep -q '"record_truncated":1' told || { cat told; exit 1; }
done

# Text is no ERF, whatever its name; a snoop file of another link type is refused in a line that says so.
"$WIRESWEEP" list models >text.erf
if "$WIRESWEEP" inspect text.erf 2>messages; then exit 1; fi
grep -q 'text.erf: byte 0: not a capture' messages
printf 'snoop\0\0\0\0\0\0\2\0\0\0\3' >metro.snoop
if "$WIRESWEEP" inspect metro.snoop 2>messages; then exit 1; fi
grep -q 'metro.snoop: byte 12: snoop data link type 3 is not decoded' messages

# All of them in one store, by one rank and by three.
mkdir in
cp made/1.snoop made/1.erf made/3.pcapng made/2.snoop in
"$WIRESWEEP" extract -q -o one.h5 in
mpirun -n 3 "$WIRESWEEP" extract -q --set round_bytes=20000 -o three.h5 in
[ "$("$WIRESWEEP" inspect --hash one.h5)" = "$("$WIRESWEEP" inspect --hash three.h5)" ]
