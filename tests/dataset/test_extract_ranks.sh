#!/bin/bash
# The content hash of a store is the same for any number of ranks, any size of rounds and any order of the inputs: on mixed
# folders of pcap and pcapng, on payloads that imitate record headers, on damaged and on cut files.
# ctest: labels=mpi timeout=240
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
make="$WIRESWEEP_TOOLS/make_capture"

mkdir mixed imitating damaged
"$make" --flows 150 --seed 1 -o mixed/a.pcap >/dev/null
"$make" --flows 100 --seed 2 --format pcapng -o mixed/b.pcapng >/dev/null
"$make" --flows 10 --seed 3 --nanoseconds --swapped --link sll -o mixed/c.pcap >/dev/null
"$make" --flows 1 --seed 4 --format pcapng -o mixed/d.pcapng >/dev/null
"$make" --flows 100 --seed 5 --link raw -o mixed/e.pcap >/dev/null
head -c 24 mixed/a.pcap >mixed/empty.pcap
# Sections of either byte order, each with interfaces of its own: stripes need blocks that others meet.
"$make" --flows 40 --seed 8 --format pcapng --swapped --link raw -o f.pcapng >/dev/null
"$make" --flows 40 --seed 9 --format pcapng --nanoseconds --link sll -o g.pcapng >/dev/null
cat mixed/d.pcapng f.pcapng g.pcapng mixed/b.pcapng f.pcapng >mixed/f.pcapng
"$make" --flows 120 --seed 6 --adversarial 1400 -o imitating/a.pcap >/dev/null
"$make" --flows 30 --seed 7 --adversarial 60000 -o imitating/b.pcap >/dev/null

"$make" --flows 60 --seed 10 --adversarial 1400 --format pcapng -o imitating/c.pcapng >/dev/null

same_everywhere mixed "2:65536 3:1000000000 4:200001" mixed
same_everywhere imitating "1:65536 2:65536 4:300000" imitating

# A capture whose later part a rank must read again, since blocks before it say what its packets mean, and captures behind it that the
# rank has read meanwhile: packets that it took at first are wrong, or it took none.
mkdir again none
cat mixed/d.pcapng f.pcapng g.pcapng f.pcapng >again/a.pcapng
"$make" --flows 3 --seed 4 --format pcapng -o e.pcapng >/dev/null
"$make" --flows 150 --seed 8 --format pcapng --link raw -o h.pcapng >/dev/null
cat e.pcapng h.pcapng >none/a.pcapng
"$make" --flows 20 --seed 3 -o again/b.pcap >/dev/null
"$make" --flows 20 --seed 5 -o again/c.pcap >/dev/null
cp again/b.pcap again/c.pcap none
for case in "again --bytes header:40,payload:16,packets:2" "none" "none --join --bytes header:40,payload:16,packets:2"; do
    for ranks in 1 2 3; do
        # shellcheck disable=SC2086
        mpirun -n $ranks "$WIRESWEEP" extract -q --json --set round_bytes=1000000000 -o again.h5 $case >"again.$ranks" 2>messages ||
            { echo "$case on $ranks ranks: $(cat messages)"; exit 1; }
        [ "$(jq .content_hash "again.$ranks")" = "$(jq .content_hash again.1)" ] || { echo "$case on $ranks ranks: another content"; exit 1; }
    done
    jq -e '.boundary_repairs > 0' again.2 >/dev/null || { echo "$case: nothing was read again"; exit 1; }
done

# Inputs in any order, twice, or by a list: the same store.
reference=$(extract_hash 2 200000 mixed/a.pcap mixed/c.pcap mixed/d.pcapng)
ls mixed/d.pcapng mixed/a.pcap mixed/c.pcap >list
[ "$(extract_hash 2 200000 mixed/d.pcapng mixed/c.pcap mixed/a.pcap mixed/c.pcap)" = "$reference" ]
[ "$(extract_hash 3 90000 @list)" = "$reference" ]

# Damage: files with one and with several stretches of 0xff in the middle of records, and files cut inside one.
# damage SOURCE COPY POSITION...: in sixtieths of the file
damage() {
    cp "$1" "$2"
    for position in "${@:3}"; do
        head -c $((position * 70)) /dev/zero | tr '\0' '\377' |
            dd of="$2" bs=1 seek=$(($(stat -c %s "$2") * position / 60)) conv=notrunc status=none
    done
}
damage mixed/a.pcap damaged/once.pcap 25
damage mixed/e.pcap damaged/late.pcap 51
damage mixed/a.pcap damaged/often.pcap 17 45
damage mixed/f.pcapng damaged/sections.pcapng 9 31 52
head -c $(($(stat -c %s mixed/e.pcap) / 2 + 7)) mixed/e.pcap >damaged/cut.pcap
head -c $(($(stat -c %s mixed/b.pcapng) / 3 + 5)) mixed/b.pcapng >damaged/cut.pcapng
same_everywhere damaged "1:65536 2:65536 3:1000000000" damaged 2>messages
grep -q 'damaged stretches' messages
runs=$("$WIRESWEEP" extract -q --json -o damaged.h5 damaged 2>/dev/null |
    sed -n 's/.*"damage_runs": \([0-9]*\).*/\1/p')
[ "$runs" -ge 5 ] || { echo "$runs damaged stretches in 5 damaged files"; exit 1; }

# More files in one round than a process may have open.
mkdir many
for k in $(seq 300); do cp mixed/c.pcap "many/$k.pcap"; done
(ulimit -n 150 && "$WIRESWEEP" extract -q -o many.h5 many)
