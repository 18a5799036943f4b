#!/bin/bash
# run.sh FUZZERS SECONDS [NAME...]: runs the fuzzers of the folder FUZZERS (all, or fuzz_NAME), one after another, each for so
# many seconds. Seeds come from make_capture (of the folder WIRESWEEP_TOOLS, else build/bin), the configurations and some small
# tables; where WIRESWEEP_SHARED_DATA has tables, their first lines too. A line a fuzzer with its executions; ends with 1 where
# one of them has found something, and leaves the input in the folder FUZZERS/found. An input that takes longer than FUZZ_TIMEOUT
# seconds (300) is a finding; on a machine that stops processes for some time, say more.
set -eu
cd "$(dirname "$0")/../.."
fuzzers=$1 seconds=$2
shift 2
tools=${WIRESWEEP_TOOLS:-build/bin} data=${WIRESWEEP_SHARED_DATA:-../shared/data}
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
all="pcap pcapng framed lines stream decode stripe csv arff cell json options label_rules labels ndpi pcapml"
for name in $all; do
    mkdir -p "$seeds/$name"
done
mkdir -p "$fuzzers/found"

# seed NAME: standard input as a new seed of a fuzzer
seed() { cat >"$(mktemp "$seeds/$1/XXXXXXXX")"; }

make() { "$tools/make_capture" --flows 4 -o "$seeds/capture" "$@" >/dev/null; }
for options in "--seed 1" "--seed 2 --swapped" "--seed 3 --nanoseconds" "--seed 4 --adversarial 1400" "--seed 5 --link sll2" \
    "--seed 6 --link raw"; do
    make $options
    { printf '\0\200\0'; tail -c +5 "$seeds/capture"; } | head -c 30000 | seed pcap
    { printf '\0\1\1\0'; tail -c +41 "$seeds/capture" | head -c 200; } | seed decode
    { printf '\7'; head -c 9000 "$seeds/capture"; } | seed stripe
    head -c 4000 "$seeds/capture" | seed stream
    make --format pcapng $options
    { printf '\0'; tail -c +29 "$seeds/capture"; } | head -c 30000 | seed pcapng
    { printf '\7'; head -c 9000 "$seeds/capture"; } | seed stripe
    { printf '\3'; head -c 4000 "$seeds/capture"; head -c 4000 "$seeds/capture"; } | seed stripe
    for compress in gzip zstd xz bzip2; do
        head -c 20000 "$seeds/capture" | $compress -c | seed stream
    done
done

ppi='"[[0, 21, 3], [1, -1, 1], [1250, 1200, 80], [0, 1, 1]]"'
tables=("SRC_IP,DST_IP,PROTOCOL,TIME_FIRST,TIME_LAST,PPI,PHIST_SRC_SIZES,BYTES,BYTES_REV,PACKETS,PACKETS_REV,APP,CATEGORY"$'\n'"10.0.0.1,10.0.0.2,17,2022-10-31T00:00:00.5,2022-10-31T00:00:01,$ppi,\"[1, 2, 3, 0, 0, 0, 0, 1]\",10,20,1,2,youtube,video"$'\n'
    $'label\ttext_a\n3\t4500 0034 3412 1200\n1\tffff ff00\n'
    $'app,service,condition,packet_lengths,iat_values,directions,rtt_ms,protocol\nzoom,conferencing,bad,60.0;1500,0;2.5,1;-1,1.1,17\n'
    $'\xef\xbb\xbf Destination Port, Flow Duration,Flow Bytes/s, Label\r\n80,12,Infinity,BENIGN\r\n443,NaN,-inf,"Web Attack \x96 ""XSS"""\r\n\r\n'
    $'a,b,label\n1,2.5e3,"x\ny"\n3,,z\n'
    $'No.,Time,Source,Destination,Protocol,Length,Info\n1,0.000000,10.0.0.1,10.0.0.2,UDP,60,"a, b"\n')
for table in "${tables[@]}"; do
    for family in {0..15}; do
        { printf "\\x$(printf %x "$family")"; printf '%s' "$table"; } | seed csv
    done
done
while read -r file; do
    for family in {0..11}; do
        { printf "\\x$(printf %x "$family")"; head -n 5 "$file" | head -c 8000; } | seed csv
    done
done < <(find "$data" \( -name '*.csv' -o -name '*.tsv' \) 2>/dev/null | sort | awk 'NR % 3 == 1' | head -n 40)
printf '\1@ATTRIBUTE duration NUMERIC\n@attribute "max_fiat" NUMERIC\n%% x\n@ATTRIBUTE class1 {TOR,NONTOR}\n@DATA\n1,2,TOR\n3,-1,NONTOR\n' | seed arff
printf '\3''1,@ATTRIBUTE duration NUMERIC,,\n2,@ATTRIBUTE class1 {TOR},,\n3,@DATA,,\n4,1,2,TOR\n' | seed arff
for text in '[[0, 21, 3], [1, -1, 1], [1250, 1200, 80]]' '[[0],[1],[2],[1]]' '[1, 2, 3]' '60.0;1500;52' '1.5e-3' '-Infinity' \
    '2017-07-03 11:55:58.598308' '7/7/2017 3:56' '03/07/2017 08:55:58' '10.0.0.1' '2001:db8::1' '4500 0034 3412' 'tcp' \
    $'Web Attack \x96 XSS' 'a ""b""'; do
    printf '%s' "$text" | seed cell
done
for file in configs/*/*.json; do
    seed json <"$file"
done
printf '{"table": {"features": ["a", "b"], "labels": {"kind": "label"}, "unused": ["note"], "units": {"a": "s"}, "duration_unit": "ms", "utc_offset_hours": -3.5, "ppi": "PPI"}}' | seed json
for file in configs/datasets/*.json; do
    seed label_rules <"$file"
done
"$tools/make_capture" --flows 5 -o "$seeds/capture" --labels "$seeds/truth" >/dev/null
sed '2,$s/^[^,]*/monday.pcap/' "$seeds/truth" | seed labels
printf 'capture,protocol,source,source_port,destination,destination_port,first_ns,label,kind\nmonday.pcap,tcp,192.168.10.50,40000,172.16.0.1,80,,"a ""b""",c\n' | seed labels
rm -f "$seeds/truth"
make --seed 1
{
    printf '\0'
    for record in {0..8}; do # of snoop: 64 bytes of a frame, at second $record
        printf '\0\0\0\100\0\0\0\100\0\0\0\130\0\0\0\0\131\0\0\0\0\0\0'"\\$record"
        tail -c +41 "$seeds/capture" | head -c 64
    done
} | seed framed
{
    printf '\1'
    for record in {0..8}; do # of ERF: the same
        printf '\0\0\0'"\\$record"'\0\0\0\137\2\4\0\122\0\0\0\100\0\0'
        tail -c +41 "$seeds/capture" | head -c 64
    done
} | seed framed
rm -f "$seeds/capture"
printf '%b' '\0\0\01"1","0.5","10.0.0.1","10.0.0.2","TLSv1.2","60","a, ""b"""\n"2","Jun  3, 2022 10:00:00.25 KST","2001:db8::1","2001:db8::2","QUIC","1292",""\n' | seed lines
printf '%b' '\01\0200\01' '1,2022-06-03 10:00:00.5 UTC,10.0.0.1,10.0.0.2,TCP,1514\r\n2,2022-06-03T10:00:01Z,aa:bb,Broadcast,ARP,42\r\n' | seed lines
printf '%b' '\02\0100\0' '1654250000.123456\t10.0.0.2\t10.0.0.1\t1500\n2022-06-03 10:00:01 UTC\t10.0.0.1\t10.0.0.2\t40\n' | seed lines
for words in '--packets 5 -o x.h5 a.pcap' '--window=0.5 --resume --endpoints keyed' '--protocols icmp,89,all --set a=1 --set b=2 --' \
    'header:80,payload:240,packets:5' 'packets:1024' 'flow20 first20 -1.5e-3' '--dataset generic @list -q'; do
    printf '%s' "$words" | tr ' ' '\0' | seed options
done
printf '\0%s\n' $'18205618432581910911,windows-10\ns=0,proc=curl,dir=lan2wan\n7,a,b\ns=18446744073709551616,label=x' | seed pcapml
printf '\2%s\n' $'1,tor\n2,tor\n1,other\nlabel=a,proc=b,s=3\n' | seed pcapml
{
    printf '\t1\tTCP 192.168.10.50:40000 <-> 172.16.0.1:80 [proto: 91.126/TLS.Google][cat: Web/5][1 pkts/2 bytes]\n'
    printf '\t2\tUDP 10.0.0.1:40001 -> 10.0.0.2:53 [VLAN: 7][proto: 5/DNS][cat: Network/14]\n'
    printf '\t3\tTCP [2001:db8::1]:40002 <-> [2001:db8::2]:80 [proto: 0/Unknown][cat: Unspecified/0]\n\t4\tICMP 10.0.0.1:0 -> 10.0.0.2:0 [proto: 81/ICMP]\n'
} | seed ndpi

[ $# -gt 0 ] || set -- $all
status=0
for name in "$@"; do
    mkdir -p "$seeds/corpus_$name"
    longest=16384
    case $name in pcap | pcapng | stream) longest=65536 ;; decode | cell) longest=2048 ;; esac
    if "$fuzzers/fuzz_$name" -max_total_time="$seconds" -max_len=$longest -print_final_stats=1 -timeout="${FUZZ_TIMEOUT:-300}" -rss_limit_mb=4096 \
        -artifact_prefix="$fuzzers/found/$name-" "$seeds/corpus_$name" "$seeds/$name" >"$seeds/log" 2>&1; then
        echo "fuzz_$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$seeds/log") executions in $seconds s," \
            "$(grep -o 'cov: [0-9]*' "$seeds/log" | tail -n 1)"
    else
        echo "fuzz_$name: a finding:"
        tail -n 60 "$seeds/log"
        status=1
    fi
done
exit $status
