#!/bin/bash
# Decoded packets of all captures at hand agree with tshark, record by record: which are TCP or UDP, time, ports, lengths, flags
# and window. What differs must have a known reason (tests/reference/against_tshark.py names them).
# ctest: labels=compare timeout=400
set -eu -o pipefail
for program in tshark mergecap capinfos python3; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
[ -d "$WIRESWEEP_SHARED_DATA/labelled-pcap" ] || { echo "skipped: no captures in $WIRESWEEP_SHARED_DATA"; exit 77; }
ulimit -n 4096 2>/dev/null || true # mergecap opens many at once
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
find "$WIRESWEEP_SHARED_DATA" -type f ! -name '*.csv*' ! -name '*.out' ! -name '*.arff' ! -name '*.tsv' ! -name '*.json' |
    LC_ALL=C sort >"$folder/list"
python3 -B "$WIRESWEEP_SOURCE/tests/reference/against_tshark.py" --least 200000 "@$folder/list"
