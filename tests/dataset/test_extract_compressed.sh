#!/bin/bash
# A compressed input gives the store of the plain one, whatever compressed it, its size, the ranks and the rounds; damaged
# streams keep what was read before and are counted.
# ctest: labels=mpi timeout=240
set -euo pipefail
for program in gzip zstd xz bzip2; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
make="$WIRESWEEP_TOOLS/make_capture"

mkdir plain packed
"$make" --flows 60 --seed 1 -o plain/a.pcap >/dev/null
"$make" --flows 60 --seed 2 --format pcapng -o plain/b.pcapng >/dev/null
"$make" --flows 40 --seed 3 --nanoseconds --swapped -o plain/c.pcap >/dev/null
"$make" --flows 40 --seed 4 --adversarial 1400 -o plain/d.pcap >/dev/null
"$make" --flows 40 --seed 5 -o plain/e.pcap >/dev/null
head -c 24 plain/a.pcap >plain/empty.pcap
# damage inside of what was compressed: the same stretches are skipped
head -c 3000 /dev/zero | tr '\0' '\377' | dd of=plain/e.pcap bs=1 seek=40000 conv=notrunc status=none
head -c 100001 plain/a.pcap >plain/cut.pcap

gzip -c plain/a.pcap >packed/a.pcap.gz
zstd -qc plain/b.pcapng >packed/b.pcapng.zst
xz -c plain/c.pcap >packed/c.pcap.xz
bzip2 -c plain/d.pcap >packed/d.pcap.bz2
{ head -c 50000 plain/e.pcap | zstd -qc; tail -c +50001 plain/e.pcap | zstd -qc; } >packed/e.pcap.zst
gzip -c plain/empty.pcap >packed/empty.pcap.gz
# members of every size and zeros behind the last one; magic, not name, tells what it is
{ head -c 7 plain/cut.pcap | gzip -c; head -c 60007 plain/cut.pcap | tail -c 60000 | gzip -c; tail -c +60008 plain/cut.pcap | gzip -c
    head -c 512 /dev/zero; } >packed/cut.pcap.bz2

reference=$(extract_hash 1 1000000000 plain)
same_everywhere packed "1:4096 2:65536 3:1000000000 4:200001" packed
[ "$(extract_hash 1 1000000000 packed)" = "$reference" ] || { echo "packed and plain inputs differ"; exit 1; }
# mixed with plain ones, and where compression hides much in little: rounds end early
rm packed/b.pcapng.zst packed/d.pcap.bz2
cp plain/b.pcapng plain/d.pcap packed
[ "$(extract_hash 3 4096 packed)" = "$reference" ] || { echo "mixed and plain inputs differ"; exit 1; }

# A stream that is cut off or damaged: counted, printed, no error; and the same on all ranks.
mkdir broken
head -c $(($(stat -c %s packed/a.pcap.gz) / 2)) packed/a.pcap.gz >broken/cut.pcap.gz
xz -c plain/a.pcap >broken/flipped.pcap.xz
printf '\377\0\377\0' | dd of=broken/flipped.pcap.xz bs=1 seek=$(($(stat -c %s broken/flipped.pcap.xz) * 2 / 3)) conv=notrunc status=none
{ cat packed/a.pcap.gz; echo more; } >broken/more.pcap.gz
same_everywhere broken "2:65536 4:1000000000" broken 2>messages
grep -q 'damaged stretches' messages
"$WIRESWEEP" inspect --json broken/cut.pcap.gz >told
grep -q '"stream_broken":[[:space:]]*1' told
"$WIRESWEEP" extract -q --json -o broken.h5 broken 2>/dev/null | grep -q '"damage_runs":[[:space:]]*[3-9]'
"$WIRESWEEP" inspect --json broken/more.pcap.gz >more
"$WIRESWEEP" inspect --json plain/a.pcap >whole
[ "$(grep '"records"' more)" = "$(grep '"records"' whole)" ]
# Nothing of it can be read: refused with its name.
head -c 9 packed/a.pcap.gz >nothing.gz
if "$WIRESWEEP" extract -q -o no.h5 nothing.gz 2>error; then exit 1; fi
grep -q 'nothing.gz: byte 0: nothing of it can be decompressed' error
# Two forms of one capture side by side keep two names.
"$WIRESWEEP" extract -q -o both.h5 plain/a.pcap packed/a.pcap.gz
