#!/bin/bash
# ctest: timeout=60
# pcapML written and read again: captures with labels of a CSV file become pcapML with the same flows and labels; a file of pcapML's
# own comes out byte for byte; plain captures are labelled by pcapML's label files; what is wrong is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
"$WIRESWEEP_TOOLS/make_capture" --flows 60 --seed 3 -o a.pcap --labels a.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels a.csv --endpoints plain -o a.h5 a.pcap
"$WIRESWEEP" export -q a.h5 --format pcapml --label family -o b.pcapng a.pcap
"$WIRESWEEP" extract -q --dataset pcapml --endpoints plain -o b.h5 b.pcapng
# Flows and labels are the same, whatever number their first packet has in its file.
columns() { # columns STORE LABEL
    "$WIRESWEEP" export "$1" -o "$1.csv"
    awk -F, -v label="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { print $at["first_ns"], $at["last_ns"], $at["packets_forward"], $at["packets_backward"], $at["source"], $at["destination"], $at[label] }' \
        "$1.csv" | sort
}
columns a.h5 label_family >a.txt
columns b.h5 label_label >b.txt
cmp a.txt b.txt || fail "other flows or labels came back"
# The sample is the row's hash, and every packet of a flow has it.
tail -n +2 a.h5.csv | cut -d, -f1 | tr a-f A-F | while read -r hash; do echo "ibase=16; $hash" | bc; done | sort >samples.wanted 2>/dev/null ||
    printf '' >samples.wanted
if [ -s samples.wanted ] && command -v tshark >/dev/null; then
    tshark -r b.pcapng -T fields -e frame.comment 2>/dev/null | cut -d, -f1 | sort -u >samples
    cmp samples samples.wanted || fail "samples are not the rows' hashes"
fi
# What was written is copied as it is.
"$WIRESWEEP" export -q b.h5 --format pcapml -o c.pcapng b.pcapng
cmp b.pcapng c.pcapng || fail "a pcapML file did not come out byte for byte"

# ---- label files ----
cat >rules.txt <<'END'
# filter,label[,key]
BPF:udp|FILE:a.pcap,datagrams,one
FILE:nowhere.pcap,never
BPF:tcp|TS_START:0|TS_END:4000000000,streams,
TS_END:4000000000,others
END
"$WIRESWEEP" extract -q --dataset pcapml --labels rules.txt --endpoints plain -o d.h5 a.pcap
"$WIRESWEEP" export d.h5 -o d.csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { label = $at["label_label"]; seen[label]++; wanted = $at["protocol"] == 17 ? "datagrams" : "streams" }
    label != wanted && label != "others" { exit 1 } # behind a VLAN tag, "tcp" and "udp" do not match
    END { exit !(seen["datagrams"] && seen["streams"] && seen["others"]) }' d.csv || fail "label files are not followed"
# A row is a sample, of whatever flows: here one a line of the file that a packet met; or a flow, where that is asked for.
[ "$(grep -c . d.csv)" = 4 ] || fail "not a row for each of three samples: $(cat d.csv)"
"$WIRESWEEP" extract -q --dataset pcapml --labels rules.txt --set rows=flow -o flows.h5 a.pcap
"$WIRESWEEP" export -q flows.h5 -o flows.csv
[ "$(grep -c . flows.csv)" -gt 50 ] || fail "flows are not rows where it is asked for"
"$WIRESWEEP" export -q d.h5 --format pcapml --labels rules.txt -o e.pcapng a.pcap
# FILE names a capture whether it is compressed or not
mkdir compressed
gzip -c a.pcap >compressed/a.pcap.gz
"$WIRESWEEP" extract -q --dataset pcapml --labels rules.txt --endpoints plain -o compressed/d.h5 compressed/a.pcap.gz
[ "$("$WIRESWEEP" inspect --hash compressed/d.h5)" = "$("$WIRESWEEP" inspect --hash d.h5)" ] ||
    fail "a compressed capture has other labels by its label file"
"$WIRESWEEP" export -q d.h5 --format pcapml --labels rules.txt -o compressed/e.pcapng compressed/a.pcap.gz
cmp e.pcapng compressed/e.pcapng || fail "a compressed capture is exported with other labels"
# and wherever the user stands
mkdir here
cp a.pcap here
echo 'FILE:here/a.pcap|BPF:udp,datagrams' >here/rules.txt
labelled_from() { # labelled_from FOLDER CAPTURE: what the rules make of it there
    rm -f from.pcapng
    (cd "$1" && "$WIRESWEEP" extract -q --dataset pcapml --labels "$folder/here/rules.txt" -o "$folder/from.h5" "$2" &&
        "$WIRESWEEP" export -q "$folder/from.h5" --format pcapml --labels "$folder/here/rules.txt" -o "$folder/from.pcapng" "$2") || return 1
    "$WIRESWEEP" inspect --hash from.h5 && sha256sum from.pcapng
}
above=$(labelled_from . here/a.pcap)
beside=$(labelled_from here a.pcap)
[ "$above" = "$beside" ] || fail "labels depend on the folder that the user stands in"
echo 'FILE:./here//a.pcap|BPF:udp,datagrams' >here/rules.txt
[ "$(labelled_from . ./here/a.pcap)" = "$above" ] || fail "a path is another where it is written otherwise"
# of two captures of which one's name ends as the other's the right one is taken
(cd here && mkdir sub && cp a.pcap sub && echo 'FILE:sub/a.pcap,below' >two.txt && echo 'FILE:a.pcap,above' >>two.txt &&
    "$WIRESWEEP" extract -q --dataset pcapml --labels two.txt -o two.h5 a.pcap sub &&
    "$WIRESWEEP" export -q two.h5 --format pcapml --labels two.txt -o two.pcapng a.pcap sub) || fail "the captures are not told apart"
# a link has the name that it has
printf 'FILE:a.pcap,target\nFILE:link.pcap,link\n' >here/rules.txt
(cd here && ln -s a.pcap link.pcap && "$WIRESWEEP" extract -q --dataset pcapml --labels rules.txt -o link.h5 link.pcap)
[ "$("$WIRESWEEP" inspect --json here/link.h5 | jq -c '.labels.label.classes | keys')" = '["link"]' ] ||
    fail "a link has labels of what it leads to: $("$WIRESWEEP" inspect --json here/link.h5 | jq -c .labels)"
for ranks in 1 3; do
    mpirun -q -n $ranks "$WIRESWEEP" extract -q --dataset pcapml -o e$ranks.h5 e.pcapng
done
[ "$("$WIRESWEEP" inspect --hash e1.h5)" = "$("$WIRESWEEP" inspect --hash e3.h5)" ] || fail "other rows on three ranks"
"$WIRESWEEP" export -q e1.h5 -o e.csv
for store in d e; do
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { print $at["first_ns"], $at["packets_forward"], $at["packets_backward"], $at["label_label"] }' $store.csv | sort >$store.txt
done
cmp d.txt e.txt || fail "the samples of a label file came back as others"
expect() { # expect STATUS TEXT ARGUMENT...
    local wanted=$1 text=$2 status=0
    shift 2
    "$WIRESWEEP" "$@" 2>message || status=$?
    [ $status = "$wanted" ] && grep -q -- "$text" message || fail "$*: status $status, said: $(cat message)"
    [ ! -e wrong.h5 ] && [ ! -e wrong.pcapng ] || fail "$* left something"
}
wrong() { # wrong LINE TEXT
    printf '%s\n' "$1" >wrong.txt
    expect ${status_of_filter:-1} "$2" extract -q --dataset pcapml --labels wrong.txt -o wrong.h5 a.pcap
}
wrong 'BPF:tcp' 'wrong.txt:1: no label'
status_of_filter=2
wrong 'BPF:tcp prot,label' 'tcp prot'
status_of_filter=1
wrong 'PORT:80,label' 'PORT is unknown'
wrong 'TS_START:now,label' 'TS_START:now is no number'
wrong 'BPF:tcp,label,key,more' 'more than three fields'
wrong 'TS_START:1|TS_START:2,label' 'TS_START is unknown, or given twice'
wrong 'TS_END:3000000000|TS_END:4000000000,label' 'TS_END is unknown, or given twice'
wrong '# nothing' 'no line FILTER,LABEL'
wrong 'TS_START:4000000000,label' 'no line speaks of a packet'
expect 2 'name its captures' export a.h5 --format pcapml -o wrong.pcapng
expect 2 'by a label file' export d.h5 --format pcapml -o wrong.pcapng a.pcap
expect 2 'time-outs and direction private are for rows that are flows' \
    extract -q --dataset pcapml --set window=10 -o wrong.h5 b.pcapng
expect 2 'name no samples' extract -q --dataset generic --set rows=sample -o wrong.h5 a.pcap
expect 2 'was not made of a capture of this name' export a.h5 --format pcapml -o wrong.pcapng b.pcapng
expect 2 'choose what a table holds' export a.h5 --format pcapml --features flow20 -o wrong.pcapng a.pcap
expect 2 'are for packets' export a.h5 --label family -o wrong.csv
expect 2 'no label level "colour"' export a.h5 --format pcapml --label colour -o wrong.pcapng a.pcap

expect 2 'not by a label file' export a.h5 --format pcapml --labels rules.txt -o wrong.pcapng a.pcap
# A store with a secret: without it no packet finds its row, which is no empty file.
head -c 32 a.pcap >key
"$WIRESWEEP" extract -q --dataset synthetic --labels a.csv --key key -o keyed.h5 a.pcap
expect 2 'none of [0-9]* packets is of a row of keyed.h5' export keyed.h5 --format pcapml -o wrong.pcapng a.pcap
"$WIRESWEEP" export keyed.h5 --format pcapml --label family --key key -o keyed.pcapng a.pcap 2>said
# samples of several captures that have one number are told of
cp b.pcapng again.pcapng
"$WIRESWEEP" extract -q --dataset pcapml -o twice.h5 b.pcapng again.pcapng
"$WIRESWEEP" export -q twice.h5 --format pcapml -o twice.pcapng b.pcapng again.pcapng 2>warned
rows=$("$WIRESWEEP" inspect --json b.h5 | jq .rows)
grep -q "warning: $rows samples are of several captures" warned || fail "$rows samples twice; said: $(cat warned)"
# packets that are pcapML's already need no row, so no key
"$WIRESWEEP" extract -q --dataset synthetic --labels a.csv --key key -o commented.h5 b.pcapng
"$WIRESWEEP" export -q commented.h5 --format pcapml --label family -o commented.pcapng b.pcapng 2>warned || fail "asks for a key: $(cat warned)"
cmp b.pcapng commented.pcapng && [ ! -s warned ] || fail "other packets than those with comments: $(cat warned)"
"$WIRESWEEP" export a.h5 --format pcapml --label family -o open.pcapng a.pcap 2>said.open
[ "$(cut -d: -f2- said)" = "$(cut -d: -f2- said.open)" ] || fail "with its key a store is exported otherwise: $(cat said)"

# ---- each row has just the packets that it counts: also where a store does not hold all rows or packets, and where time goes back
(cat a.pcap && tail -c +25 a.pcap) >back.pcap
sed 's/^a.pcap,/back.pcap,/' a.csv >back.csv
counted() { # counted CAPTURE SETTING...: the packets written are those of the rows
    local capture=$1
    shift
    rm -f some.pcapng
    "$WIRESWEEP" extract -q --dataset synthetic --labels ${capture%.pcap}.csv --set idle_timeout=0.02 "$@" -o some.h5 $capture
    "$WIRESWEEP" export -q some.h5 -o some.csv
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["label_family"] != "" { print $at["row_hash"], $at["packets_forward"] + $at["packets_backward"] }' some.csv |
        while read -r hash packets; do printf '%d %u\n' "$packets" "0x$hash"; done | sort >wanted
    [ "$(wc -l <wanted)" -ge 5 ] || fail "$*: only $(wc -l <wanted) rows"
    "$WIRESWEEP" export some.h5 --format pcapml --label family -o some.pcapng $capture 2>said
    LC_ALL=C grep -a -o -E '[0-9]{5,},(attack|benign)' some.pcapng | cut -d, -f1 | sort | uniq -c | awk '{ print $1, $2 }' | sort >found
    cmp found wanted || fail "$capture $*: samples have other packets than their rows, $(cat said)"
    grep -q lack said && fail "$capture $*: $(cat said)"
    return 0
}
counted a.pcap
counted a.pcap --filter 'greater 200'
counted a.pcap --set reservoir=200
counted back.pcap
counted back.pcap --filter 'greater 200'
counted back.pcap --set reservoir=100
counted back.pcap --set window=0.05
counted back.pcap --set window=0.05 --set window_origin=epoch
counted back.pcap --set window=0.05 --set window_rule=flows
# What does not find its packets is told of.
cp a.pcap whole.pcap
head -c 100024 a.pcap >cut.pcap
cp cut.pcap a.pcap
"$WIRESWEEP" export a.h5 --format pcapml --label family -o short.pcapng a.pcap 2>said
grep -q 'warning: [1-9][0-9]* samples lack packets .*, the first one: [0-9]* of a.pcap;' said || fail "$(cat said)"
cp whole.pcap a.pcap
mkdir again
cp a.pcap again
expect 2 'was named before' export a.h5 --format pcapml -o wrong.pcapng a.pcap again/a.pcap
# So are rows that have a label, but none of this level.
sed '5,$s/,[a-z]*$/,/' a.csv >few.csv
"$WIRESWEEP" extract --dataset synthetic --labels few.csv -o few.h5 a.pcap 2>said
grep -q '60 of 60 flows labelled' said || fail "$(cat said)"
"$WIRESWEEP" export few.h5 --format pcapml --label family -o few.pcapng a.pcap 2>said
grep -q 'left out: 1 of no row, [1-9][0-9]* of 57 rows without label' said || fail "$(cat said)"

# ---- captures of one name in several folders: each has its own rows ----
mkdir day1 day2 day3
"$WIRESWEEP_TOOLS/make_capture" --flows 60 --seed 3 -o day1/t.pcap --labels day1.csv >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 40 --seed 4 -o day2/t.pcap --labels day2.csv >/dev/null
(cat day1.csv && tail -n +2 day2.csv) >days.csv
"$WIRESWEEP" extract -q --dataset synthetic --labels days.csv --endpoints plain -o days.h5 day1/t.pcap day2/t.pcap
for day in day1 day2; do
    "$WIRESWEEP" extract -q --dataset synthetic --labels days.csv --endpoints plain -o day.h5 $day/t.pcap
    for store in day days; do
        (cd $day && rm -f out.pcapng && "$WIRESWEEP" export ../$store.h5 --format pcapml --label family -o out.pcapng t.pcap 2>../$store.said)
    done
    grep -q 'out.pcapng: [1-9][0-9]* packets' day.said || fail "$day/t.pcap: $(cat day.said)"
    cmp day.said days.said || fail "$day/t.pcap beside another t.pcap: $(cat days.said), alone: $(cat day.said)"
done
cp day2/t.pcap day3/t.pcap
expect 2 'made of 2 captures of this name' export days.h5 --format pcapml -o wrong.pcapng day3/t.pcap

# ---- comments that cannot be used are counted, and the first one is named ----
"$WIRESWEEP_TOOLS/make_capture" --flows 40 --seed 5 --format pcapng --comments -o comments.pcapng >/dev/null
told() { # told TEXT: what is said of the labels of other.pcapng; nothing where TEXT is empty
    "$WIRESWEEP" extract --dataset pcapml -o other.h5 other.pcapng 2>said
    grep 'labels that cannot be used' said >warning || true
    [ -z "$1" ] && [ ! -s warning ] || { [ -n "$1" ] && grep -q -- "$1" warning; } || fail "not \"$1\" but: $(cat warning)"
}
cp comments.pcapng other.pcapng
told ''
LC_ALL=C sed 's/0,common/0;common/g; s/0,odd/0;odd/g' comments.pcapng >other.pcapng
told "other.pcapng:1: this packet's comment names no sample and label"
packets=$(grep -a -o '0;[co][od][md]' other.pcapng | wc -l)
grep -q "used: $packets," warning || fail "not $packets comments but: $(cat warning)"
# they stay out of what is exported, and so does no other packet
samples_of() { LC_ALL=C grep -a -o '[0-9]*,common\|[0-9]*,odd' "$1" | sort | uniq -c; }
"$WIRESWEEP" export other.h5 --format pcapml -o exported.pcapng other.pcapng 2>said
[ "$(samples_of exported.pcapng)" = "$(samples_of other.pcapng)" ] && grep -q "left out: $packets of" said ||
    fail "packets without a sample got one: $(cat said)"
# none that can be used: that they are there is said, with the first one
LC_ALL=C sed 's/\([0-9]\),common/\1;common/g; s/\([0-9]\),odd/\1;odd/g' comments.pcapng >other.pcapng
expect 1 "none of the [0-9]* comments of the inputs' packets is as .*other.pcapng:1: this packet's comment names no sample" \
    extract -q --dataset pcapml -o wrong.h5 other.pcapng

# ---- stamps that may be seconds and microseconds, or one number of 64 bits: the user must say, as for extract ----
if command -v python3 >/dev/null; then
    python3 - <<'P'
import struct
def block(kind, body):
    return struct.pack('<II', kind, 12 + len(body)) + body + struct.pack('<I', 12 + len(body))
frame = bytes(12) + b'\x08\x00' + struct.pack('>BBHHHBBHIIHHHH', 0x45, 0, 28, 1, 0, 64, 17, 0, 0x0a000001, 0x0a000002, 1000, 53, 8, 0) + bytes(2)
comment = struct.pack('<HH', 1, 5) + b'7,web' + bytes(3) + bytes(4)
with open('unclear.pcapng', 'wb') as out:
    out.write(block(0x0A0D0D0A, struct.pack('<IHHq', 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack('<HHI', 1, 0, 0)))
    out.write(block(6, struct.pack('<IIIII', 0, 1000, 5, 44, 44) + frame + comment))
P
    "$WIRESWEEP" extract -q --dataset pcapml --set stamps=split -o unclear.h5 unclear.pcapng
    expect 1 'byte 48: a time stamp' export unclear.h5 --format pcapml -o wrong.pcapng unclear.pcapng
    "$WIRESWEEP" export -q unclear.h5 --format pcapml --stamps split -o clear.pcapng unclear.pcapng
fi

# ---- pcapML's own files, where they are at hand ----
own=${WIRESWEEP_SHARED_DATA:-none}/nprint-pcapml/nprint+pcapml/test
[ -d "$own" ] || { echo "the files of pcapML's tests are not here"; exit 0; }
"$WIRESWEEP" extract -q --dataset pcapml -o own.h5 "$own/sample-test/test.pcapng"
"$WIRESWEEP" export -q own.h5 --format pcapml -o own.pcapng "$own/sample-test/test.pcapng"
cmp own.pcapng "$own/sample-test/test.pcapng" || fail "pcapML's own file did not come out byte for byte"
"$WIRESWEEP" extract -q --dataset pcapml --set rows=flow --labels "$own/label-test/labels.txt" -o plain.h5 "$own/label-test/test.pcap"
for store in own plain; do
    "$WIRESWEEP" export $store.h5 -o $store.csv
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { print $at["first_ns"], $at["packets_forward"] + $at["packets_backward"], $at["label_label"] }' \
        $store.csv | sed 's/mac os/mac-os/' | sort >$store.txt
done
cmp own.txt plain.txt || fail "the capture labelled by rules has other samples than the labelled one"
[ "$(wc -l <own.txt)" = 10 ] && [ "$(awk '{ sum += $2 } END { print sum }' own.txt)" = 151 ] || fail "not 10 samples of 151 packets"
# Two of its lines have one key, and so are one sample: its packets with the other label are told of.
"$WIRESWEEP" extract --dataset pcapml --labels "$own/label-test/labels.txt" -o keyed.h5 "$own/label-test/test.pcap" 2>said
"$WIRESWEEP" export -q keyed.h5 -o keyed.csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { sum += $at["packets_forward"] + $at["packets_backward"] }
    END { exit !(NR == 10 && sum == 151) }' keyed.csv || fail "not 9 samples of 151 packets: $(cat keyed.csv)"
grep -q 'labels that cannot be used: 10, .*another label than its sample' said || fail "$(cat said)"
