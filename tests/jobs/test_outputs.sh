#!/bin/bash
# No subcommand replaces a file of another kind, a folder or a device by its output, and an output that cannot be written is
# refused before the work: one line, the right status, nothing left behind.
# ctest: timeout=60
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# refuse STATUS PATTERN ARGUMENT...: ends with the status and one error line that says the pattern.
refuse() {
    local want=$1 pattern=$2 got=0
    shift 2
    "$WIRESWEEP" "$@" >out.log 2>err.log </dev/null || got=$?
    [ "$got" = "$want" ] || fail "wiresweep $*: status $got, must be $want: $(cat err.log)"
    grep '^error: ' err.log | grep -q -- "$pattern" || fail "wiresweep $*: '$pattern' is not in: $(cat err.log)"
    [ "$(grep -c '^error: ' err.log)" = 1 ] || fail "wiresweep $*: more than one error line: $(cat err.log)"
    ! grep -q 'H5F' err.log || fail "wiresweep $*: HDF5's own words: $(cat err.log)"
}

"$WIRESWEEP_TOOLS/make_capture" --flows 60 -o one.pcap --labels labels.csv >/dev/null
cp one.pcap two.pcap
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o store.h5 one.pcap
cp store.h5 kept.h5
cp labels.csv both.csv
sed 's/^one.pcap/three.pcap/' labels.csv >other.csv
mkdir taken
ln -s two.pcap link.pcap
ln -s /dev/null device
ln -s store.h5 to_store.h5
ln -s labels.csv to_text.csv
ln -s nothing to_nothing
ln -s /proc/self/fd/1 to_stdout

# The name of the store forgotten: the first capture of a glob must not be lost.
refuse 2 'one.pcap is there and is no store' extract -o one.pcap one.pcap
refuse 2 'one.pcap is there and is no store' extract -o one.pcap two.pcap
refuse 2 'link.pcap is there and is no store' extract -o link.pcap one.pcap
refuse 2 'labels.csv is there and is no store' extract --labels labels.csv -o labels.csv one.pcap
cmp -s one.pcap two.pcap || fail "a capture was changed"
for output in taken new/ ""; do
    refuse 2 'the output' extract -o "$output" one.pcap
    refuse 2 'the output' export store.h5 -o "$output"
done
for output in device /dev/full; do
    refuse 2 'is no regular file' extract -o $output one.pcap
    refuse 2 'is no regular file' export store.h5 -o $output
    refuse 2 'is no regular file' split store.h5 -o $output
done
# A link would be replaced, not the file it leads to; /dev/stdout is such a link where stdout is a file.
for output in to_store.h5 to_nothing; do
    refuse 2 'is a symbolic link' extract -o $output two.pcap
done
for output in to_text.csv to_nothing to_stdout; do
    refuse 2 'is a symbolic link' export store.h5 -o $output
    refuse 2 'is a symbolic link' split store.h5 -o $output
done
for link in to_store.h5 to_text.csv to_nothing to_stdout; do
    [ -L $link ] || fail "the link $link was replaced"
done
rm -f to_store.h5 to_text.csv to_nothing to_stdout
[ -c /dev/full ] || fail "a device was replaced"
# So short a time would count as none, and a store without windows be made.
for name in idle_timeout active_timeout window; do
    refuse 2 "$name.*less than a nanosecond" extract --set $name=1e-10 -o short.h5 one.pcap
done
refuse 1 'there is no folder nowhere' extract -o nowhere/store.h5 one.pcap
refuse 1 'there is no folder nowhere' export store.h5 -o nowhere/flows.csv
refuse 1 'there is no folder nowhere' split store.h5 -o nowhere/split.json
refuse 2 'store.h5 is there and is no text file' export store.h5 -o store.h5
refuse 2 'store.h5 is there and is no text file' split store.h5 -o store.h5
cmp -s store.h5 kept.h5 || fail "the store was changed"

# `-` is standard output for texts, and nothing for stores and folders.
refuse 2 'cannot go to standard output' extract -o - one.pcap
refuse 2 'a run is a folder' train nothing.json -o -
refuse 2 'a sweep is a folder' sweep nothing.json -o -
for command in export split; do
    "$WIRESWEEP" $command -q store.h5 -o made
    "$WIRESWEEP" $command -q store.h5 -o - | cmp - made || fail "$command -o - writes something else than -o FILE"
    rm made
done
[ ! -e - ] || fail "a file named -"
status=0
"$WIRESWEEP" split -q store.h5 -o - >/dev/full 2>err.log || status=$?
[ $status = 1 ] && grep -q '^error: .*standard output' err.log || fail "a full standard output: $status $(cat err.log)"

# A key makes key_hash another one also where no endpoints are kept.
head -c 32 two.pcap >key
for options in "" "--key key" "--key key --endpoints plain"; do
    "$WIRESWEEP" extract -q $options -o keyed.h5 one.pcap
    "$WIRESWEEP" export -q keyed.h5 -o - | cut -d, -f1 >"hashes.${#options}" # row_hash, which is made of key_hash
done
! cmp -s hashes.0 hashes.9 && cmp hashes.9 hashes.27 && [ -s hashes.0 ] || fail "key hashes with a key: $(wc -l hashes.*)"
rm hashes.* key keyed.h5

# What may be replaced is replaced.
"$WIRESWEEP" extract -q -o store.h5 two.pcap
"$WIRESWEEP" export -q store.h5 -o labels.csv
[ "$(head -c 8 labels.csv)" = row_hash ] || fail "a text file was not replaced by an export"

# Labels that belong to other captures are not passed over in silence.
"$WIRESWEEP" extract --dataset synthetic --labels other.csv -o store.h5 two.pcap 2>err.log
grep -q '^warning: no flow is labelled: none of other.csv' err.log || fail "no warning: $(cat err.log)"
"$WIRESWEEP" extract --dataset synthetic --labels both.csv -o store.h5 one.pcap 2>err.log
grep -q '60 of 60 flows labelled' err.log || fail "the labelled flows are not counted: $(cat err.log)"
awk -F, -v OFS=, 'NR > 1 && NR < 12 { $8 = ""; $9 = "" } 1' both.csv >some.csv
"$WIRESWEEP" extract --dataset synthetic --labels some.csv -o store.h5 one.pcap 2>err.log
grep -q '50 of 60 flows labelled' err.log || fail "a line without a class counts as a label: $(cat err.log)"

[ "$("$WIRESWEEP" inspect --hash --json kept.h5)" = "{\"content_hash\": \"$("$WIRESWEEP" inspect --hash kept.h5)\"}" ] ||
    fail "inspect --hash --json is not JSON"

left=$(ls -A | grep -vE '^(one.pcap|two.pcap|link.pcap|(labels|both|other|some).csv|store.h5|kept.h5|taken|device|(out|err).log)$' || true)
[ -z "$left" ] || fail "left behind: $left"
[ $failures = 0 ]
