#!/bin/bash
# Decoded packets of real captures agree with tshark: time, ports, lengths, flags and window of every packet that is decoded.
# ctest: timeout=300
set -eu -o pipefail
for program in tshark mergecap; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
[ -d "$WIRESWEEP_SHARED_DATA/labelled-pcap" ] || { echo "skipped: no captures in $WIRESWEEP_SHARED_DATA"; exit 77; }
ulimit -n 4096 2>/dev/null || true # mergecap opens all of them
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# All captures, one behind the other in one pcapng with an interface for each. Mutated ones have no reference.
find "$WIRESWEEP_SHARED_DATA/labelled-pcap" -type f \( -name '*.pcap' -o -name '*.pcapng' -o -name '*.cap' \) | grep -v fuzz |
    LC_ALL=C sort >"$folder/list"
xargs -a "$folder/list" -d '\n' mergecap -a -F pcapng -w "$folder/merged.pcapng"

"$WIRESWEEP_TOOLS/dump_packets" "$folder/merged.pcapng" >"$folder/ours"
tshark -r "$folder/merged.pcapng" -o ip.defragment:FALSE -o ipv6.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE \
    -o tcp.analyze_sequence_numbers:FALSE -T fields -E occurrence=f -E separator=/t \
    -e frame.number -e frame.time_epoch -e frame.len -e ip.len -e ipv6.plen -e tcp.srcport -e tcp.dstport -e udp.srcport \
    -e udp.dstport -e tcp.len -e tcp.flags -e tcp.window_size_value >"$folder/theirs" 2>/dev/null

# Columns 1 to 11 are ours, 12 to 23 theirs. tshark leaves fields empty that it did not reach, and takes the wire length for the
# payload where the IP header names a greater one; we keep to the header.
paste "$folder/ours" "$folder/theirs" | awk -F'\t' '
    function check(what, ours, theirs) {
        if (theirs != "" && ours != theirs) { print "packet " $1 ": " what " " ours ", tshark " theirs; wrong++ }
    }
    { check("number", $1, $12); check("wire length", $4, $14)
      time = $13; sub(/\./, "", time); sub(/^0+/, "", time); check("time", $3 "", time) }
    $2 == "ok" {
        compared++
        tcp = $5 == 6
        check("source port", $6, tcp ? $17 : $19)
        check("destination port", $7, tcp ? $18 : $20)
        check("IP length", $8, $15 != "" ? $15 : $16 + 40)
        if (tcp && $8 <= $4) check("payload", $9, $21)
        if (tcp) { check("flags", $10, substr($22, 5, 2)); check("window", $11, $23) }
    }
    END { print compared + 0 " packets compared, " wrong + 0 " differ"; exit wrong > 0 || compared < 10000 }'
