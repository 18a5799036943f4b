#!/bin/bash
# What an interrupted extraction leaves is told, guarded and survives damage: a run without --resume, one while another runs,
# one with other options, other inputs, a damaged checkpoint; flow tables; and a disk that fills up.
# ctest: labels=mpi timeout=180
set -euo pipefail
folder=$(mktemp -d)
trap 'cd /; umount "$folder/small" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/interrupt.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 1 -o a.pcap >/dev/null
whole a.pcap

contents() {
    find store.h5.partial -type f ! -name lock -exec sha256sum {} + | sort
}

# refused WORDS ARGUMENT...: status 2, one line of error and one of what to do, and all is left as it was
refused() {
    local words=$1 before status=0
    shift
    before=$(contents)
    "$WIRESWEEP" extract -q -o store.h5 "$@" 2>messages || status=$?
    [ $status -eq 2 ] && grep -q "^error: .*$words" messages && grep -q '^hint: ' messages ||
        fail "'$words' with status 2 was due, not $status: $(cat messages)"
    [ "$before" = "$(contents)" ] || fail "a refused run changed something"
}

interrupt 2 3 a.pcap
[ ! -e store.h5 ] || fail "the killed run left a store"
refused 'an extraction that was interrupted is there' a.pcap
refused 'it was begun with another packets' --resume --packets 64 a.pcap
refused 'it was begun with another idle_timeout' --resume --set idle_timeout=64 a.pcap
cp -p a.pcap b.pcap
refused 'input a.pcap was there then, b.pcap is now' --resume b.pcap
refused 'there were 1 inputs then and are 2 now' --resume a.pcap b.pcap
touch a.pcap
refused 'the input a.pcap was changed since' --resume a.pcap
cat b.pcap b.pcap >a.pcap
refused "the input a.pcap had $(stat -c %s b.pcap) bytes then" --resume a.pcap
cp -p b.pcap a.pcap
cp -r store.h5.partial kept

# The newest checkpoint is damaged, or a segment behind the one before is gone: the one before serves.
rm -rf $(comm -3 <(ls -d store.h5.partial/checkpoint-*) <(ls store.h5.partial/checkpoint-*/manifest.json | xargs dirname)) # one that was being written
rm -rf kept
cp -r store.h5.partial kept
newest=$(ls -d store.h5.partial/checkpoint-* | tail -1)
[ "$(ls -d store.h5.partial/checkpoint-* | wc -l)" -ge 2 ] || fail "fewer than two checkpoints are kept"
for file in rank-0001 run manifest.json; do
    rm -rf store.h5.partial
    cp -r kept store.h5.partial
    printf 'x' | dd of="$newest/$file" bs=1 seek=20 conv=notrunc status=none
    finish 2 a.pcap
    grep -q "^warning: checkpoint .* is passed over: " messages || fail "no word of the damaged $file: $(cat messages)"
    same "damaged $file"
done
cp -r kept store.h5.partial
truncate -s -1 "store.h5.partial/segment-$(printf %04d $((10#${newest##*-} - 1))).h5"
finish 1 a.pcap
same "damaged segment"
# A segment keeps its size and has another content, in a value or where the library keeps its own: the sound one before it serves.
segment=store.h5.partial/segment-$(printf %04d $((10#${newest##*-} - 1))).h5
values=$({ cmp -l "kept/${segment##*/}" /dev/zero 2>/dev/null || true; } | awk '{ place[NR] = $1 - 1 } END { print place[int(NR / 2)] }')
for place in 40 "$values"; do
    cp -r kept store.h5.partial
    byte=$(od -An -tu1 -j "$place" -N 1 "$segment")
    printf "\\x$(printf %02x $((255 - byte)))" | dd of="$segment" bs=1 seek="$place" conv=notrunc status=none
    ! cmp -s "kept/${segment##*/}" "$segment" || fail "nothing was damaged at $place"
    # HDF5 itself keeps an object header whose checksum is wrong, which is not to be taken for a leak of ours.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 finish 2 a.pcap
    grep -q "^warning: checkpoint .* is passed over: $segment was damaged" messages ||
        fail "no word of the segment damaged at $place: $(cat messages)"
    [ "$(grep -c 'is passed over' messages)" = 1 ] || fail "the sound segment was not used: $(cat messages)"
    same "segment damaged at $place"
done

# What is not the extraction's stays, and is named.
cp -r kept store.h5.partial
echo text >store.h5.partial/notes
finish 1 a.pcap
grep -q "^warning: store.h5.partial is left: notes in it is not the extraction's" messages || fail "a foreign file: $(cat messages)"
[ "$(ls store.h5.partial)" = notes ] || fail "a foreign file: $(ls store.h5.partial)"
rm store.h5.partial/notes
rmdir store.h5.partial
same "a foreign file"
cp -r kept store.h5.partial
rm store.h5.partial/checkpoint-*/run
finish 1 a.pcap
same "no sound checkpoint"

# Nothing is there to go on from: from the beginning. Nor is somebody's file taken for an extraction's.
finish 1 a.pcap
same "nothing there"
echo text >store.h5.partial
status=0
"$WIRESWEEP" extract -q -o store.h5 a.pcap 2>messages || status=$?
[ $status -eq 2 ] && grep -q 'store.h5.partial is in the way' messages && [ "$(cat store.h5.partial)" = text ] ||
    fail "a file in the way: $status $(cat messages)"
rm store.h5.partial

# While one runs, another is refused; it does not disturb the first.
hold 'store.h5.partial/lock' 5 store.h5
"${held[@]}" "$WIRESWEEP" extract -q $settings -o store.h5 a.pcap &
first=$!
await_hold $first || fail "the first of two ended before the second began"
for way in "" --resume; do
    status=0
    "$WIRESWEEP" extract -q $way -o store.h5 a.pcap 2>messages || status=$?
    [ $status -eq 2 ] && grep -q 'another extraction writes there (process' messages || fail "two at once: $status $(cat messages)"
done
let_go
wait $first || fail "the first of two did not end well"
same "two at once"

# Flow tables, plain and compressed.
awk 'BEGIN { print "Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Total Fwd Packets,Label"
    srand(1)
    for (i = 0; i < 9000; i++)
        printf "10.0.%d.%d,%d,192.168.0.%d,443,6,2021-07-02 13:%02d:%02d,%d,%d,\"class %d, %s\"\n", i % 7, i % 250, 1024 + i % 5000,
            i % 40, i / 60 % 60, i % 60, i * 31 % 100000, i % 17, int(i / 1500), i % 2 ? "odd" : "even" }' >t.csv
head -6000 t.csv | gzip >u.csv.gz
(head -1 t.csv; tail -2000 t.csv) >v.csv
cat >table.json <<'TABLE'
{"table": {"source": "Src IP", "source_port": "Src Port", "destination": "Dst IP", "destination_port": "Dst Port",
 "protocol": "Protocol", "first_time": "Timestamp", "labels": {"label": "Label"}}}
TABLE
tables="--dataset flow_csv --config table.json t.csv u.csv.gz v.csv"
whole $tables
for more in 2 2; do
    interrupt $((RANDOM % 3 + 1)) $more $tables --resume
    [ ! -e store.h5 ] || fail "tables: the killed run left a store"
done
finish $((RANDOM % 3 + 1)) $tables
"$WIRESWEEP" inspect --json store.h5 | grep -v '"path"\|"store"\|boundary_repairs' | cmp - whole.json || fail "tables: other counters"
same tables

# A disk that fills up: one line, no store, and with room again the run goes on.
mkdir small
mount -t tmpfs -o size=5m tmpfs small 2>/dev/null || { echo "no right to mount a small file system: a full disk is left out"; exit 0; }
"$WIRESWEEP_TOOLS/make_capture" --flows 1500 --seed 2 -o a.pcap >/dev/null # a store of 8 MB
settings="--set round_bytes=200000 --set checkpoint_bytes=600000"
whole a.pcap
cd small
status=0
mpirun -n 2 "$WIRESWEEP" extract -q $settings -o store.h5 ../a.pcap 2>messages || status=$?
[ $status -eq 1 ] && [ "$(grep -c '^error: ' messages)" = 1 ] && grep -q 'No space left' messages ||
    fail "full disk: $status $(cat messages)"
[ ! -e store.h5 ] || fail "a store on a full disk"
[ "$(newest_checkpoint)" -ge 1 ] || fail "the run that filled the disk left nothing to go on from"
grep -q -- '--resume' messages || fail "full disk: no word of --resume"
mount -o remount,size=200m "$folder/small"
finish 2 ../a.pcap
same "full disk"
