#!/bin/bash
# Inputs that are added to a store: where they would have come last anyhow, the store is the one that all inputs at once give, on
# any number of ranks; the store that was there stays whole until the end; rows of another kind are refused.
# ctest: labels=mpi timeout=240
set -euo pipefail
for program in jq h5dump h5repack; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/interrupt.sh"
make="$WIRESWEEP_TOOLS/make_capture"

mkdir in
"$make" --flows 60 --seed 1 --classes 3 --labels 1.csv -o in/1.pcap >/dev/null
"$make" --flows 80 --seed 2 --classes 7 --labels 2.csv -o in/2.pcap >/dev/null
"$make" --flows 40 --seed 3 --classes 5 --labels 3.csv --format pcapng -o in/3.pcapng >/dev/null
"$make" --flows 50 --seed 4 --classes 7 --labels 4.csv -o in/4.pcap >/dev/null
head -c 2000 /dev/zero | tr '\0' '\377' | dd of=in/1.pcap bs=1 seek=30000 conv=notrunc status=none
head -c 2000 /dev/zero | tr '\0' '\377' | dd of=in/4.pcap bs=1 seek=50000 conv=notrunc status=none
gzip in/2.pcap
{ cat 1.csv; for f in 2 3 4; do tail -n +2 $f.csv; done; } >labels.csv
head -c 32 /dev/urandom >key

told() {
    "$WIRESWEEP" inspect --json "$1" | jq -S 'del(.path, .content_hash, .options)'
    h5dump -g /provenance/damage "$1" | tail -n +2
}

# at_once ARGUMENT...: hash and books of all inputs in one run
at_once() {
    "$WIRESWEEP" extract -q -o all.h5 "$@" in 2>/dev/null
    all=$("$WIRESWEEP" inspect --hash all.h5)
    told all.h5 >all.json
}
# in_steps "RANKS..." ARGUMENT...: the inputs in three runs on so many ranks
in_steps() {
    local ranks=($1)
    shift
    rm -f store.h5
    mpirun -n ${ranks[0]} "$WIRESWEEP" extract -q --append -o store.h5 "$@" in/1.pcap 2>messages
    mpirun -n ${ranks[1]} "$WIRESWEEP" extract -q --append -o store.h5 "$@" in/3.pcapng in/2.pcap.gz 2>>messages
    mpirun -n ${ranks[2]} "$WIRESWEEP" extract -q --append -o store.h5 "$@" in/4.pcap 2>>messages
    [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$all" ] || fail "$*: not the store of all inputs: $(cat messages)"
    told store.h5 >steps.json
    cmp all.json steps.json || fail "$*: other books: $(diff all.json steps.json | head -5)"
    [ ! -e store.h5.partial ] || fail "$*: store.h5.partial is left"
}

at_once
in_steps "1 2 3"
if [ -z "${WIRESWEEP_FEW:-}" ]; then
    in_steps "4 1 2" --set round_bytes=20000
    at_once --dataset synthetic --labels labels.csv --endpoints plain
    in_steps "2 1 3" --dataset synthetic --labels labels.csv --endpoints plain
    at_once --set window=5 --set window_rule=capture
    in_steps "3 1 2" --set window=5 --set window_rule=capture
fi
at_once --dataset synthetic --labels labels.csv --key key --features flowconx --bytes header:20,payload:8,packets:2
"$WIRESWEEP" inspect --json all.h5 | jq -r '.labels.label.classes | keys_unsorted[]' >classes
[ "$(wc -l <classes)" -ge 6 ] || fail "only $(wc -l <classes) classes"
in_steps "1 3 1" --dataset synthetic --labels labels.csv --key key --features flowconx --bytes header:20,payload:8,packets:2
at_once --memory 1M
in_steps "1 1 2" --memory 1M
# Labels that come with the inputs, with classes that the store does not have: by name.
at_once --dataset synthetic --labels labels.csv
rm -f store.h5
for step in 4 1; do
    case $step in 4) inputs=(in/1.pcap) ;; 1) inputs=(in/2.pcap.gz in/3.pcapng in/4.pcap) ;; esac
    cut -d, -f1 labels.csv | sort -u >names
    grep -E "^capture|$([ $step = 4 ] && echo '^1\.' || echo '^[234]\.')" labels.csv >some.csv
    mpirun -n $step "$WIRESWEEP" extract -q --append --dataset synthetic --labels some.csv -o store.h5 "${inputs[@]}" 2>messages
done
[ "$("$WIRESWEEP" inspect --hash store.h5)" = "$all" ] || fail "labels from two files: $(cat messages)"

# Joined captures are added as one input, and files of both stay accountable.
mkdir cut
"$make" --flows 50 --seed 5 -o 5.pcap >/dev/null
"$WIRESWEEP_TOOLS/split_capture" 5.pcap cut 5 300
"$WIRESWEEP" extract -q --append -o store.h5 --dataset generic in/1.pcap 2>/dev/null && fail "another data set was added"
rm -f store.h5
"$WIRESWEEP" extract -q --append -o store.h5 in/1.pcap 2>/dev/null
mpirun -n 2 "$WIRESWEEP" extract -q --append --join -o store.h5 cut 2>/dev/null
"$WIRESWEEP" inspect --json store.h5 >told.json
count=$(ls cut | wc -l)
[ "$(jq -c '[(.inputs | length), (.files | length), .files[0].name, .files[1].input]' told.json)" = "[2,$((count + 1)),\"1.pcap\",1]" ] ||
    fail "files: $(jq -c .files told.json)"

# Refused in one line, and the store stays as it is.
rm -f store.h5
"$WIRESWEEP" extract -q -o store.h5 in/1.pcap 2>/dev/null
sum=$(sha256sum store.h5)
refused() {
    ! "$WIRESWEEP" extract -q --append -o store.h5 "${@:2}" 2>messages || fail "not refused: ${*:2}"
    grep -q -- "$1" messages || fail "${*:2}: $(cat messages)"
    [ "$(sha256sum store.h5)" = "$sum" ] || fail "${*:2}: the store was changed"
    [ ! -e store.h5.partial ] || fail "${*:2}: store.h5.partial is left"
}
refused 'packets 128 there, 64 now' --packets 64 in/2.pcap.gz
refused 'endpoints "drop" there, "plain" now' --endpoints plain in/2.pcap.gz
refused 'idle_timeout 120 there, 60 now' --set idle_timeout=60 in/2.pcap.gz
refused 'bytes not set there, "header:20,packets:1" now' --bytes header:20,packets:1 in/2.pcap.gz
refused 'features not set there' --features flowconx in/2.pcap.gz
refused 'dataset "generic" there, "synthetic" now' --dataset synthetic in/2.pcap.gz
refused 'label level label not there, given now' --labels labels.csv in/2.pcap.gz
refused 'made with no --key' --key key in/2.pcap.gz
refused 'reservoir' --set reservoir=5 in/2.pcap.gz
refused 'is in store.h5 already, as its input 1.pcap' in/1.pcap in/2.pcap.gz
cp in/1.pcap copy.pcap
refused 'copy.pcap is in store.h5 already, as its input 1.pcap' copy.pcap
refused 'no such file\|No such file' in/5.pcap

# A store that keeps nothing of its hosts: the new ones are numbered apart, which is said, and splits by host are refused.
"$WIRESWEEP" extract --append -o store.h5 in/2.pcap.gz 2>messages
grep -q 'numbered apart' messages || fail "hosts: $(cat messages)"
! "$WIRESWEEP" split --protocol host store.h5 >/dev/null 2>messages || fail "split by hosts that are not known"
grep -q 'numbered apart' messages || fail "split: $(cat messages)"
"$WIRESWEEP" split --protocol session store.h5 >/dev/null 2>&1

"$WIRESWEEP" inspect --json store.h5 | jq -e '.hosts_apart_from == .inputs[0].rows' >/dev/null || fail "inspect: hosts"
h5dump -n store.h5 | grep -q /provenance/hosts && fail "hosts are kept of a store without addresses"
# One that was compressed since.
rm -f store.h5
"$WIRESWEEP" extract -q --append -o plain.h5 in/1.pcap 2>/dev/null
h5repack -m 1024 -f SHUF -f GZIP=1 plain.h5 store.h5
mpirun -n 2 "$WIRESWEEP" extract -q --append -o store.h5 in/[234].* 2>/dev/null
at_once
[ "$("$WIRESWEEP" inspect --hash store.h5)" = "$all" ] || fail "compressed: another store"

# Killed while it adds: the store stays, and the same command goes on.
"$WIRESWEEP" extract -q --append -o start.h5 in/1.pcap 2>/dev/null
for try in 1 2 3; do
    cp start.h5 store.h5
    sum=$(sha256sum <store.h5)
    interrupt $try 2 --append in/2.pcap.gz in/3.pcapng in/4.pcap
    [ "$(sha256sum <store.h5)" = "$sum" ] || fail "the killed run changed the store"
    finish $((4 - try)) --append in/2.pcap.gz in/3.pcapng in/4.pcap
    [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$all" ] || fail "resumed: another store"
    [ ! -e store.h5.partial ] || fail "resumed: store.h5.partial is left"
done
cp start.h5 store.h5
interrupt 1 2 --append in/2.pcap.gz in/3.pcapng in/4.pcap
"$WIRESWEEP" extract -q --append -o store.h5.other 5.pcap
mv store.h5.other store.h5
! "$WIRESWEEP" extract -q --resume $settings --append -o store.h5 in/2.pcap.gz in/3.pcapng in/4.pcap 2>messages ||
    fail "resumed with another store"
grep -q 'another store that is added to' messages || fail "another store: $(cat messages)"
rm -rf store.h5.partial

# Inputs without records, first, last and between, which all look alike; what cannot be read.
mkdir few
for file in 1 3 5; do head -c 24 5.pcap >few/$file.pcap; done
"$make" --flows 20 --seed 6 -o few/2.pcap >/dev/null
cp 5.pcap few/4.pcap
"$WIRESWEEP" extract -q -o all.h5 few
rm -f store.h5
for file in 1 2 3 4 5; do mpirun -n $((file % 3 + 1)) "$WIRESWEEP" extract -q --append -o store.h5 few/$file.pcap; done
[ "$("$WIRESWEEP" inspect --hash store.h5)" = "$("$WIRESWEEP" inspect --hash all.h5)" ] || fail "empty inputs"
echo nothing >6.pcap
head -c 3000 few/2.pcap >7.pcap
status=0
"$WIRESWEEP" extract -q --append --on-error skip -o store.h5 6.pcap 7.pcap 2>/dev/null || status=$?
[ $status -eq 3 ] || fail "status $status"
[ "$("$WIRESWEEP" inspect --json store.h5 | jq -c '[.counters.inputs_skipped[].name, .inputs[5].name, .damage_runs]')" = \
    '["6.pcap","7.pcap",1]' ] || fail "skipped inputs"

# Labels that captures carry.
if command -v editcap >/dev/null; then
    for file in 1 2; do
        "$make" --flows 20 --seed $file --format pcapng -o bare.pcapng >/dev/null
        editcap -a "1:$file,class-$file" -a "9:7,other" bare.pcapng ml-$file.pcapng
    done
    "$WIRESWEEP" extract -q --dataset pcapml -o all.h5 ml-1.pcapng ml-2.pcapng
    rm -f store.h5
    for file in 1 2; do mpirun -n $file "$WIRESWEEP" extract -q --append --dataset pcapml -o store.h5 ml-$file.pcapng; done
    [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$("$WIRESWEEP" inspect --hash all.h5)" ] || fail "pcapml"
    [ "$("$WIRESWEEP" inspect --json store.h5 | jq '.labels.label.classes | length')" -eq 3 ] || fail "classes of pcapml"
fi

# Flow tables.
printf 'when,bytes,class\n1,2,a\n2,3,c\n' >1.csv
printf 'when,bytes,class\n3,4,b\n4,5,a\n' >2.csv
echo '{"table": {"first_time": "when", "labels": {"label": "class"}}}' >table.json
table="--dataset flow_csv --config table.json"
"$WIRESWEEP" extract -q $table -o all.h5 1.csv 2.csv
rm -f store.h5
for file in 1 2; do mpirun -n $file "$WIRESWEEP" extract -q --append $table -o store.h5 $file.csv; done
[ "$("$WIRESWEEP" inspect --hash store.h5)" = "$("$WIRESWEEP" inspect --hash all.h5)" ] || fail "flow tables"
printf 'when,octets,class\n3,4,b\n' >3.csv
sum=$(sha256sum store.h5)
refused 'columns of' $table 3.csv
echo "a store that was added to is the store of all inputs"
