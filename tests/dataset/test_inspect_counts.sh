#!/bin/bash
# ctest: labels=cli timeout=120
# inspect tells flows by class, end and file as the rows of the store have them, for any number of ranks, and reads no more of a
# large store than of a small one.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; exit 1; }
"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 1 --labels few.csv -o few.pcap >/dev/null || exit 1
"$WIRESWEEP_TOOLS/make_capture" --flows 12000 --seed 2 --labels many.csv -o many.pcap >/dev/null || exit 1
(cat few.csv; tail -n +2 many.csv) >labels.csv
"$WIRESWEEP" extract -q --labels labels.csv -o few.h5 few.pcap || fail "extract few"
for ranks in 1 3; do
    mpirun -n $ranks "$WIRESWEEP" extract -q --labels labels.csv -o both$ranks.h5 few.pcap many.pcap || fail "extract, $ranks ranks"
    "$WIRESWEEP" inspect both$ranks.h5 | tail -n +2 >text$ranks || fail "inspect, $ranks ranks"
done
cmp text1 text3 || fail "1 and 3 ranks differ: $(diff text1 text3)"
# rows of the exported table by input (column 2), end (13), family (16) and label (17)
"$WIRESWEEP" export both1.h5 -o rows.csv -q || fail "export"
head -1 rows.csv | cut -d, -f2,13,16,17 | grep -qx 'input,end,label_family,label_label' || fail "columns: $(head -1 rows.csv)"
for column in 13 16 17; do
    while read -r count name; do
        grep -Eq "^    $name +$count\$" text1 || fail "inspect does not tell $count of $name: $(cat text1)"
    done < <(tail -n +2 rows.csv | cut -d, -f$column | sort | uniq -c)
done
while read -r count name; do
    grep -Eq "^    $name .* $count flows\$" text1 || fail "inspect does not tell $count flows of $name: $(cat text1)"
done < <(tail -n +2 rows.csv | cut -d, -f2 | sort | uniq -c)
# compressed by HDF5's own tool: smaller, the same content
if command -v h5repack >/dev/null; then
    h5repack -m 1024 -f SHUF -f GZIP=1 both1.h5 packed.h5 || fail "h5repack cannot read it"
    [ "$(stat -c %s packed.h5)" -lt "$(($(stat -c %s both1.h5) / 2))" ] || fail "not half as large: $(ls -l packed.h5 both1.h5)"
    [ "$("$WIRESWEEP" inspect --hash packed.h5)" = "$("$WIRESWEEP" inspect --hash both3.h5)" ] || fail "another content hash"
fi
# what this shell and its ended children have read so far
bytes_read() { awk '/^rchar/ { print $2 }' /proc/$$/io; }
[ -n "$(bytes_read)" ] || { echo "skipped the bytes read: the system does not tell them"; exit 0; }
start=$(bytes_read); "$WIRESWEEP" inspect few.h5 >/dev/null; middle=$(bytes_read)
"$WIRESWEEP" inspect both1.h5 >/dev/null; end=$(bytes_read)
small=$((middle - start)) large=$((end - middle))
[ "$small" -gt 4096 ] || fail "bytes read are not told: $small"
[ "$large" -lt $((small + 16384)) ] || fail "inspect read $small bytes for 200 rows, $large for 12,200"
exit 0
