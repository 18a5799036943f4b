#!/bin/bash
# peers.sh [-o FILE] [-p PART] [-l FLOWS] [FOLDER]: extraction beside the flow exporters that Debian 12 and PyPI have, on the same
# captures in the page cache; a Markdown table. Captures (the large ones of FLOWS flows), and a Python environment with NFStream
# and CICFlowMeter, are made in FOLDER where they are not there yet (default: a new folder below TMPDIR). PART is one of make,
# payload, headers and kept (default: all four): the rows of those made before are kept in FOLDER, so that each can have the
# machine alone. A program that is absent, hangs or fails is a row that says so. As root, `apt-get install nfdump softflowd
# argus-server argus-client tshark tcpdump` comes first where any is absent.
# WIRESWEEP and WIRESWEEP_TOOLS say where the programs are (default: build/release/bin).
set -u
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
output=/dev/stdout
parts="payload headers kept" flows=60000
while getopts o:p:l: option; do
    case $option in
    o) output=$(realpath -m "$OPTARG") ;;
    p) parts=$OPTARG ;;
    l) flows=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
folder=${1:-$(mktemp -d)}
program=${WIRESWEEP:-$source_folder/build/release/bin/wiresweep}
tools=${WIRESWEEP_TOOLS:-$source_folder/build/release/bin}
[ -x "$program" ] || { echo "$program is not there: build it, or set WIRESWEEP" >&2; exit 1; }
mkdir -p "$folder" && cd "$folder" || exit 1

# ---------------------------------------------------------------- programs and captures
# With scapy 2.6 and later CICFlowMeter 0.2.0 writes no flow.
for needed in nfpcapd nfdump softflowd argus ra tshark tcpdump; do
    command -v $needed >/dev/null || missing=1
done
if [ "${missing:-0}" = 1 ] && [ "$(id -u)" = 0 ]; then
    apt-get install -y --no-install-recommends nfdump softflowd argus-server argus-client tshark tcpdump >apt.log 2>&1
fi
[ -x python/bin/python ] || { python3 -m venv python && python/bin/pip install -q nfstream cicflowmeter 'scapy<2.6'; } >pip.log 2>&1

# make NAME FLOWS OPTION...: a capture, in NAME.packets how many TCP and UDP packets it holds
make() {
    local name=$1 flows=$2
    shift 2
    [ -s "$name.packets" ] || "$tools/make_capture" --flows "$flows" --seed 9 "$@" -o "$name.pcap" | sed -n 's/^packets //p' >"$name.packets"
}
# A record header in the middle of the file that cannot be one.
damage() {
    [ -s "$1_damaged.packets" ] && return
    python3 - "$1" <<'PY'
import struct, sys
data = bytearray(open(sys.argv[1] + '.pcap', 'rb').read())
at = 24
while at < len(data) // 2:
    at += 16 + struct.unpack_from('<I', data, at + 8)[0]
data[at:at + 16] = b'\xff' * 16
open(sys.argv[1] + '_damaged.pcap', 'wb').write(data)
PY
    cp "$1.packets" "$1_damaged.packets"
}
make one 1
make large "$flows"
make large_headers "$flows" --snap-length 128
for name in short:4000 tiny:300; do
    make "${name%:*}" "${name#*:}"
    make "${name%:*}_headers" "${name#*:}" --snap-length 128
    damage "${name%:*}"
done

# ---------------------------------------------------------------- one run of each: prints "packets flows bytes identity"
ours_() {
    rm -f ours.h5 ours.csv
    if [ "$2" -gt 1 ]; then
        mpirun -n "$2" "$program" extract -q --json -o ours.h5 "$1" >ours.json || return 1
    else
        "$program" extract -q --json -o ours.h5 "$1" >ours.json || return 1
    fi
}
# The sums are taken apart from the run that is measured.
ours_counts() {
    "$program" export ours.h5 --format csv -o ours.csv 2>/dev/null
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
        { packets += $c["packets_forward"] + $c["packets_backward"]; bytes += $c["bytes_forward"] + $c["bytes_backward"] }
        END { printf "%d %d %d ", packets, NR - 1, bytes }' ours.csv
    sed -n 's/.*"content_hash": "\([0-9a-f]*\)".*/\1/p' ours.json
}
nfpcapd_() { rm -rf nf && mkdir nf && nfpcapd -r "$1" -l nf >nf.log 2>&1; }
nfpcapd_counts() {
    nfdump -q -R nf -I 2>/dev/null | awk '/^Packets:/ { p = $2 } /^Flows:/ { f = $2 } /^Bytes:/ { b = $2 } END { print p + 0, f + 0, b + 0, "-" }'
}
# With -d it stays in the foreground and ends with the file, and says what it did with -D. Without a listener it cannot send;
# with a control socket it sometimes waits for someone to connect to it and never ends, hence -c none.
softflowd_() {
    nc -u -l 127.0.0.1 9995 >/dev/null 2>&1 &
    local listener=$! status=0
    softflowd -d -r "$1" -n 127.0.0.1:9995 -v 9 -m 1000000 -c none -p softflowd.pid >softflowd.log 2>&1 || status=$?
    kill $listener 2>/dev/null
    wait $listener 2>/dev/null
    return $status
}
softflowd_counts() {
    softflowd -d -D -r "$1" -n 127.0.0.1:9995 -v 9 -m 1000000 -c none -p softflowd.pid 2>&1 |
        awk '/^Flows exported:/ { f = $3 } /^ +(tcp|udp|icmp) \(/ { b += $(NF - 3); p += $(NF - 2) } END { print p + 0, f + 0, b + 0, "-" }'
}
argus_() { rm -f argus.out && argus -F /dev/null -r "$1" -w argus.out - tcp or udp >argus.log 2>&1; }
argus_counts() {
    ra -F /dev/null -r argus.out -n -c , -s proto saddr sport daddr dport pkts bytes - tcp or udp 2>/dev/null |
        awk -F, '$6 ~ /^[0-9]+$/ { p += $6; b += $7; k[$1 $2 $3 $4 $5] } END { print p + 0, length(k), b + 0, "-" }'
}
tshark_() {
    tshark -n -r "$1" -Y 'tcp or udp' -T fields -e frame.time_epoch -e ip.src -e ip.dst -e ip.len -e tcp.srcport -e tcp.dstport \
        -e udp.srcport -e udp.dstport -e tcp.flags >tshark.out 2>/dev/null
}
tshark_counts() { awk -F'\t' '{ b += $4 } END { print NR, "-", b + 0, "-" }' tshark.out; }
cat >run_nfstream.py <<'PY'
import hashlib, sys
from nfstream import NFStreamer
if __name__ == "__main__":
    meters = int(sys.argv[2])
    NFStreamer.n_meters = property(lambda s: meters, lambda s, v: setattr(s, "_n_meters", meters)) # it takes one on 2 cores
    rows = [(f.src_ip, f.src_port, f.dst_ip, f.dst_port, f.protocol, f.bidirectional_first_seen_ms, f.bidirectional_packets,
             f.bidirectional_bytes) for f in NFStreamer(source=sys.argv[1], statistical_analysis=True, n_dissections=0,
                                                       splt_analysis=20, n_meters=meters) if f.protocol in (6, 17)]
    print(sum(r[6] for r in rows), len(rows), sum(r[7] for r in rows), hashlib.sha256(repr(rows).encode()).hexdigest())
PY
nfstream_() { python/bin/python run_nfstream.py "$1" "$2" >nfstream.out 2>nfstream.err; }
nfstream_counts() { tail -n 1 nfstream.out; }
cicflowmeter_() { rm -f cic.csv && python/bin/cicflowmeter -f "$1" -c cic.csv >cic.log 2>&1; }
cicflowmeter_counts() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i; next }
        { p += $c["tot_fwd_pkts"] + $c["tot_bwd_pkts"]; b += $c["totlen_fwd_pkts"] + $c["totlen_bwd_pkts"] }
        END { print p + 0, (NR > 0 ? NR - 1 : 0), b + 0, "-" }' cic.csv
}

# run TOOL FILE WORKERS LIMIT: sets seconds; false where the program runs into the limit. Then count TOOL FILE: sets counts;
# false where it wrote nothing. One that complains of the file, but writes what it read, is counted.
run() {
    export -f "${1}_" 2>/dev/null
    { time timeout -k 2 "$4" bash -c "program='$program'; ${1}_ '$2.pcap' $3" 2>/dev/null; } 2>time.out
    status=$?
    [ $status -lt 124 ] || { reason="not done in $4 s"; return 1; }
    read -r seconds processor <time.out
    processor=$(echo "$processor" | tr ' ' + | bc)
}
# What the last run wrote.
count() {
    counts=$("${1}_counts" "$2.pcap")
    [[ ${counts%% *} =~ ^[1-9] ]] || { reason="ends with status $status and no flow"; return 1; }
}
word() { echo "$counts" | cut -d' ' -f"$1"; }
ratio() { echo "scale=4; $1 / $2" | bc; }
percent() { printf '%.3f %%' "$(echo "scale=6; 100 * $1 / $2" | bc)"; }

# ---------------------------------------------------------------- speed
TIMEFORMAT='%R %U %S'
declare -A our_rate
speed_row() { # TOOL NAME FILE WORKERS ROUNDS KIND
    local best="" k rate
    for ((k = 0; k < $5; k++)); do
        run "$1" "$3" "$4" 40 || { echo "| $2 | $3 | - | - | - | - | $reason | - |"; return; }
        [ -n "$best" ] && [ "$(echo "$seconds >= $best" | bc)" = 1 ] || best=$seconds
    done
    count "$1" "$3" || { echo "| $2 | $3 | - | - | - | - | $reason | - |"; return; }
    rate=$(ratio "$(cat "$3.packets")" "$best")
    [ "$1$4" != ours1 ] || our_rate[$6]=$rate
    printf '| %s | %s | %.2f | %.2f | %.4f | %.1f | %s | %s |\n' "$2" "$3" "$best" "$processor" "$(ratio "$rate" 1000000)" \
        "$(ratio "${our_rate[$6]}" "$rate")" "$(percent "$(word 1)" "$(cat "$3.packets")")" "$(word 2)"
}
version() { "$@" 2>&1 | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)*' | head -n 1; }
pip_version() { python/bin/pip show "$1" 2>/dev/null | sed -n 's/^Version: //p'; }
nfdump_name="nfpcapd $(version nfpcapd -V)" softflowd_name="softflowd $(version softflowd -h)" argus_name="argus $(version argus -h)"
tshark_name="tshark -T fields $(version tshark --version)" nfstream_name="NFStream $(pip_version nfstream), statistics"
cic_name="CICFlowMeter (Python) $(pip_version cicflowmeter)"

speed_rows() { # KIND SUFFIX
    local kind=$1 file=large$2
    cat $file.pcap >/dev/null
    speed_row ours "wiresweep, 1 rank" $file 1 2 $kind
    speed_row ours "wiresweep, 2 ranks" $file 2 2 $kind
    speed_row nfpcapd "$nfdump_name" $file 1 2 $kind
    speed_row softflowd "$softflowd_name" $file 1 2 $kind
    speed_row argus "$argus_name" $file 1 2 $kind
    speed_row tshark "$tshark_name" "short$2" 1 1 $kind
    speed_row nfstream "$nfstream_name" "short$2" 1 1 $kind
    speed_row cicflowmeter "$cic_name" "tiny$2" 1 1 $kind
}
# How long ours takes where there is next to nothing to do.
least_seconds() { # RANKS
    local best=""
    for _ in 1 2 3; do
        run ours one "$1" 40
        [ -n "$best" ] && [ "$(echo "$seconds >= $best" | bc)" = 1 ] || best=$seconds
    done
    echo "$best"
}
payload_rows() {
    echo "$(least_seconds 1) s (2 ranks: $(least_seconds 2) s)" >least
    speed_rows payload ""
}
headers_rows() { speed_rows headers _headers; }

# ---------------------------------------------------------------- what is kept
kept_row() { # TOOL NAME FILE
    local packets bytes kept headers sizes again=- identity
    run "$1" "$3" 1 40 && count "$1" "$3" || { echo "| $2 | $reason | - | - | - |"; return; }
    packets=$(word 1) bytes=$(word 3) identity=$(word 4)
    kept="0.0 %"
    run "$1" "$3_damaged" 1 40 && count "$1" "$3_damaged" && kept=$(percent "$(word 1)" "$packets")
    headers="0.0 %" sizes=-
    run "$1" "$3_headers" 1 40 && count "$1" "$3_headers" && headers=$(percent "$(word 1)" "$packets") && sizes=$(percent "$(word 3)" "$bytes")
    if [ "$identity" != - ]; then
        run "$1" "$3" 2 40 && count "$1" "$3" && again=$([ "$(word 4)" = "$identity" ] && echo "the same" || echo "another order or content")
    fi
    echo "| $2 | $kept | $headers | $sizes | $again |"
}
kept_rows() {
    kept_row ours wiresweep short
    kept_row nfpcapd "$nfdump_name" short
    kept_row softflowd "$softflowd_name" short
    kept_row argus "$argus_name" short
    kept_row tshark "$tshark_name" short
    kept_row nfstream "$nfstream_name" short
    kept_row cicflowmeter "$cic_name" tiny
}

[ "$parts" != make ] || exit 0
for part in $parts; do
    "${part}_rows" >"$part.rows"
done
{
    cat <<TEXT
# Extraction beside other flow exporters

\`tests/bench/peers.sh -l $flows\`, $(date -u +%Y-%m-%d), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Debian $(cat /etc/debian_version).
Captures by make_capture in $(stat -f -c %T .): large ($(cat large.packets) TCP and UDP packets, $(stat -c %s large.pcap) bytes), large_headers
(the same, 128 bytes captured a packet, $(stat -c %s large_headers.pcap) bytes); slow programs get short ($(cat short.packets) packets) or tiny ($(cat tiny.packets)), and
their rate is compared with ours on large. Whole processes, the better of two runs where the file is large; ours takes
$(cat least) for a capture of one flow. wiresweep writes flows, 20
features, packet sequences, provenance and content hash to HDF5; the others write their own records; tshark nine
fields a packet.

| program | capture | s | CPU s | million packets/s | wiresweep is faster by | TCP and UDP packets accounted for | flow records |
|---|---|---|---|---|---|---|---|
TEXT
    cat payload.rows headers.rows 2>/dev/null
    cat <<TEXT

What is kept, of $(cat short.packets) packets (CICFlowMeter: of $(cat tiny.packets)); all against the program's own figures for the sound, whole capture:

| program | packets kept with one damaged record in the middle | packets of the header-only capture | bytes of the header-only capture | with two workers |
|---|---|---|---|---|
TEXT
    cat kept.rows 2>/dev/null
    cat <<TEXT

Packets accounted for may be fewer than all where a program passes over fragments, tags or link types of the capture, and more
where it counts ICMP as well. "-": it has no number of workers, or no such figure. yaf, ipfixprobe, Zeek and Suricata have no
package in Debian 12.
TEXT
} >"$output"
