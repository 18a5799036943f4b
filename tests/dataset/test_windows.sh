#!/bin/bash
# Windows and their feature tables agree, row by row, with a second implementation (tests/reference/windows.py); tables that are
# asked for lie beside flow20, the same for any ranks; models and the audit of a split can be told which to take.
# ctest: labels=mpi timeout=240
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
fail() { echo "FAIL: $*"; exit 1; }
reference="$WIRESWEEP_SOURCE/tests/reference"

# compare SECONDS ORIGIN CAPTURE [RULE]
compare() {
    "$WIRESWEEP" extract -q --endpoints plain --features flowconx_v2,flowconx --packets 8 --set window="$1" \
        --set window_origin="$2" --set window_rule="${4:-alone}" -o windows.h5 "$3"
    python3 -B "$reference/windows.py" windows.h5 "$3" "$1" "$2" "${4:-alone}"
}
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 5 -o a.pcap --labels labels.csv >/dev/null
compare 1 first a.pcap
compare 10 epoch a.pcap
compare 0.5 first a.pcap capture
python3 -B "$reference/make_odd.py" --seed 11 --link ethernet --packets 1500 -o odd.pcap
compare 0.25 first odd.pcap
compare 30 first odd.pcap
compare 3 epoch odd.pcap capture
python3 -B "$reference/make_odd.py" --seed 12 --format pcapng --swapped --packets 1500 -o odd.pcap
compare 2 first odd.pcap

"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 6 --format pcapng -o b.pcapng >/dev/null
same_everywhere "windows with tables" "2:30000 3:1000000000 4:4096" --set window=1 --features first20,flowconx a.pcap b.pcapng
same_everywhere "windows of captures" "2:30000 3:1000000000" --set window=1 --set window_rule=capture --features flowconx \
    a.pcap b.pcapng

# a table's place in the list changes nothing, its presence does
plain=$(extract_hash 1 1000000000 a.pcap)
one=$(extract_hash 2 40000 --features flowconx,first20 a.pcap)
two=$(extract_hash 1 40000 --features first20,flowconx,flow20,first20 a.pcap)
[ "$one" = "$two" ] && [ "$one" != "$plain" ] || fail "hashes $plain $one $two"
columns() { "$WIRESWEEP" export -q "$@" | head -n 1 | tr ',' '\n' | grep -c "$pattern" || true; }
pattern='signed_length_\|log_dur'
[ "$(columns compared.h5)" = 1 ] || fail "export does not show flow20 unless told"
[ "$(columns compared.h5 --features first20)" = 20 ] || fail "export shows another table"

status=0
"$WIRESWEEP" extract -q --set window_rule=capture -o none.h5 a.pcap 2>message || status=$?
[ $status = 2 ] && grep -q 'how long' message || fail "status $status: $(cat message)"
status=0
"$WIRESWEEP" extract -q --features flow21 -o none.h5 a.pcap 2>message || status=$?
[ $status = 2 ] && grep -q 'no table "flow21"' message && [ ! -e none.h5 ] || fail "status $status: $(cat message)"

# training and the audit on another table
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv --features flowconx_v2 -o store.h5 a.pcap
cat >config.json <<'END'
{ "store": "store.h5", "task": "classify", "label": "label", "features": "flowconx_v2", "minimum_rows": 10,
  "model": { "kind": "logistic" } }
END
"$WIRESWEEP" train config.json -q -o run >/dev/null
grep -q '"features": "flowconx_v2"' run/record.json || fail "the record does not name the table"
"$WIRESWEEP" split store.h5 --label label --features flowconx_v2 --json >split.json
grep -q '"table": "flowconx_v2"' split.json || fail "the audit looks at another table"
