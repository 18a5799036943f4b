#!/bin/bash
# Rotated captures, joined, are the capture that they were cut from: the same content hash but for the input's name, whatever the
# files are called, wherever they were cut, however they are stored, and on any number of ranks; every file stays accountable.
# ctest: labels=mpi timeout=240
set -euo pipefail
for program in gzip zstd xz bzip2 jq h5dump; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
make="$WIRESWEEP_TOOLS/make_capture" split="$WIRESWEEP_TOOLS/split_capture"
fail() { echo "FAILED: $*"; exit 1; }

# whole FILE NAME ARGUMENT...: hash of a capture in one file of that name
whole() {
    mkdir -p whole
    cp "$1" "whole/$2"
    "$WIRESWEEP" extract -q -o whole.h5 "${@:3}" "whole/$2"
    "$WIRESWEEP" inspect --hash whole.h5
}
# joined WANT "RANKS:ROUND_BYTES ..." ARGUMENT...
joined() {
    local want=$1 hash
    for way in $2; do
        hash=$(extract_hash "${way%:*}" "${way#*:}" --join "${@:3}")
        [ "$hash" = "$want" ] || fail "$way ${*:3}: $hash, in one file $want"
    done
}

"$make" --flows 300 --seed 1 --labels labels.csv -o all.pcap >/dev/null
mkdir cut
"$split" all.pcap cut b 500
mv cut/b-000.pcap cut/z.pcap # the first by time is the last by name, and gives the name
mv cut/b-003.pcap cut/a.pcap
want=$(whole all.pcap z.pcap)
parts=$(ls cut | wc -l)
[ "$parts" -ge 7 ] || fail "only $parts parts"
joined "$want" "1:4096 2:65536 3:1000000000 4:200001" cut
[ "$want" != "$(extract_hash 1 1000000000 cut)" ] || fail "joining changes nothing"
joined "$want" 2:100000 $(ls -r cut/*)

# Of every file: name, records, SHA-256.
"$WIRESWEEP" extract -q --join -o cut.h5 cut
"$WIRESWEEP" inspect --json cut.h5 >told.json
jq -r '.files[] | [.sha256, .records, .name, .input] | @tsv' told.json >told
for file in cut/z.pcap cut/b-001.pcap cut/b-002.pcap cut/a.pcap $(ls cut/b-00[4-9].pcap cut/b-01*.pcap 2>/dev/null); do
    printf '%s\t%s\t%s\t0\n' "$(sha256sum "$file" | cut -c-64)" \
        "$("$WIRESWEEP" inspect --json "$file" | jq .records)" "${file#cut/}"
done >expected
cmp expected told || fail "other files: $(diff expected told)"
[ "$(cut -f1 expected | sha256sum | cut -c-64)" = "$(jq -r '.inputs[].sha256' told.json)" ] || fail "SHA-256 of the input"
[ "$(jq -c '[.inputs | length, .[0].records]' told.json)" = "[1,$("$WIRESWEEP" inspect --json all.pcap | jq .records)]" ] ||
    fail "records of the input"
[ "$(jq '([.counters.files[].packets] | add) == .counters.sum.packets_in_flows' told.json)" = true ] ||
    fail "packets of files"

# What a run may be asked for: labels, bytes, windows, little memory, addresses.
ways=("--dataset synthetic --labels labels.csv --endpoints plain" "--bytes header:40,payload:32,packets:3" "--memory 1M"
    "--set window=5" "--set window=5 --set window_rule=capture" "--set reservoir=60 --set direction=syn")
[ -z "${WIRESWEEP_FEW:-}" ] || ways=("${ways[@]:0:3}")
for way in "${ways[@]}"; do
    sed "s/^[^,]*\.pcap,/z.pcap,/" labels.csv >renamed.csv && mv renamed.csv labels.csv
    want=$(whole all.pcap z.pcap $way)
    joined "$want" 3:65536 $way cut
done

# Files of any format and compression, and such that hold no record: these come last, also by name.
want=$(whole all.pcap z.pcap)
head -c 24 all.pcap >cut/0.pcap
head -c 24 all.pcap >cut/zz.pcap
"$make" --flows 1 --seed 1 --format pcapng -o one.pcapng >/dev/null
head -c $((0x$(od -An -tx4 -j4 -N4 one.pcapng | tr -d ' '))) one.pcapng >cut/00.pcapng # a section, nothing in it
gzip cut/a.pcap cut/b-001.pcap
xz cut/b-002.pcap
zstd -q --rm cut/b-004.pcap
bzip2 cut/b-005.pcap
joined "$want" "1:4096 2:65536 4:1000000000" cut

# Other link types, resolutions and byte orders: as the sections of one pcapng.
mkdir kinds
"$make" --flows 40 --seed 5 --format pcapng -o a.pcapng >/dev/null
"$make" --flows 40 --seed 6 --format pcapng --nanoseconds --link raw -o b.pcapng >/dev/null
"$make" --flows 40 --seed 7 --format pcapng --swapped --link sll -o c.pcapng >/dev/null
"$make" --flows 40 --seed 5 -o kinds/a.pcap >/dev/null
cp b.pcapng kinds
gzip -c c.pcapng >kinds/c.pcapng.gz
cat a.pcapng b.pcapng c.pcapng >all.pcapng
joined "$(whole all.pcapng a.pcap)" "1:1000000000 2:65536 3:20000" kinds

# Several inputs of several files: by pattern, by directory.
mkdir -p days/1 days/2 days/3
"$split" all.pcap days/1 mon 900
"$make" --flows 100 --seed 2 -o two.pcap >/dev/null
"$split" two.pcap days/2 tue 400
"$make" --flows 10 --seed 3 -o days/3/wed.pcap >/dev/null
mkdir apart
cp all.pcap apart/mon-000.pcap
cp two.pcap apart/tue-000.pcap
cp days/3/wed.pcap apart
want=$(extract_hash 1 1000000000 apart)
for way in join=directory 'groups=["mon*.pcap","2/*"]' 'groups=["@(mon|tin)-*.pcap","tue-???.pcap"]'; do
    for ranks in 1 3; do
        [ "$(extract_hash $ranks 100000 --set "$way" days)" = "$want" ] || fail "$way on $ranks ranks"
    done
done
echo '{"groups": ["mon*", "tue*"]}' >groups.json
[ "$(extract_hash 2 100000 --config groups.json days)" = "$want" ] || fail "groups of a file"

# Damage belongs to its file; what cannot be read is left out by name.
cp -r days/1 hurt
head -c 3000 /dev/zero | tr '\0' '\377' | dd of=hurt/mon-001.pcap bs=1 seek=40000 conv=notrunc status=none
echo nothing >hurt/mon-9.pcap
! "$WIRESWEEP" extract -q --join -o hurt.h5 hurt 2>messages || fail "an unreadable file was taken"
grep -q mon-9.pcap messages || fail "no name: $(cat messages)"
want=
for ranks in 1 2 4; do
    status=0
    mpirun -n $ranks "$WIRESWEEP" extract -q --join --on-error skip --set round_bytes=50000 -o hurt.h5 hurt 2>messages || status=$?
    [ $status -eq 3 ] || fail "status $status"
    hash=$("$WIRESWEEP" inspect --hash hurt.h5)
    [ "${want:=$hash}" = "$hash" ] || fail "damage on $ranks ranks"
done
h5dump -d /provenance/damage/file hurt.h5 | grep -q '(0): 1' || fail "damage of another file"
h5dump -d /provenance/damage/input hurt.h5 | grep -q '(0): 0' || fail "damage of another input"
[ "$("$WIRESWEEP" inspect --json hurt.h5 | jq -c '[.counters.files[] | select(.damage_runs > 0).name]')" = '["mon-001.pcap"]' ] ||
    fail "damage is counted with another file"

# Refused with a reason.
refused() {
    ! "$WIRESWEEP" extract -q -o no.h5 "${@:2}" 2>messages || fail "not refused: ${*:2}"
    grep -q "$1" messages || fail "${*:2}: $(cat messages)"
    [ ! -e no.h5 ] || fail "a store all the same"
}
refused 'no input is of the group "fri' --set 'groups=["fri*"]' days
refused 'labels of their own' --dataset pcapml --join a.pcapng b.pcapng
printf 'when,bytes,class\n1,2,a\n' >table.csv
echo '{"table": {"first_time": "when", "labels": {"label": "class"}}}' >table.json
refused 'for captures' --join --dataset flow_csv --config table.json table.csv
echo "joined captures are the captures that they were cut from"
