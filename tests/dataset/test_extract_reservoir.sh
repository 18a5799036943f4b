#!/bin/bash
# A reservoir draws the same flows for any ranks and rounds; a smaller one is part of a larger one; a balanced one holds as
# many of each size; every packet is still accounted for. Windows cut flows at their edges.
# ctest: labels=mpi timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"
mkdir in
"$WIRESWEEP_TOOLS/make_capture" --flows 700 --seed 1 -o in/a.pcap >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 500 --seed 2 --format pcapng -o in/b.pcapng >/dev/null

for kind in uniform balanced; do
    same_everywhere $kind "2:100000 3:1000000000" --dataset mawi --set reservoir=160 --set reservoir_kind=$kind in
done

# the values of a column, one a line
column() { "$WIRESWEEP" export "$1" | awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next } { print $c }'; }
extract() { "$WIRESWEEP" extract -q --packets 2 --dataset mawi -o "$@" in; }
extract all.h5
extract small.h5 --set reservoir=100
extract large.h5 --set reservoir=300
extract other.h5 --set reservoir=100 --set reservoir_seed=1
extract balanced.h5 --set reservoir=80 --set reservoir_kind=balanced
for store in all small large other; do column $store.h5 row_hash | sort >$store; done
[ "$(wc -l <all)" = 1200 ] && [ "$(wc -l <small)" = 100 ] && [ "$(wc -l <large)" = 300 ]
[ -z "$(comm -13 all large)" ] && [ -z "$(comm -13 large small)" ]
[ "$(comm -12 small other | wc -l)" -lt 50 ]
# both captures are drawn from, about in proportion (58 % of 300 are of a.pcap; 6 standard deviations are 17 %)
of_a=$(column large.h5 input | grep -c a.pcap)
[ "$of_a" -gt 123 ] && [ "$of_a" -lt 227 ]
# balanced: 10 of each kind that has them
"$WIRESWEEP" export balanced.h5 | awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { n = $at["packets_forward"] + $at["packets_backward"]; count[$at["protocol"] " " (n < 2 ? 0 : n < 4 ? 1 : n < 16 ? 2 : 3)]++ }
    END { for (k in count) { print k, count[k]; if (count[k] > 10) exit 1 }; if (count["6 2"] != 10 || count["6 3"] != 10) exit 1 }'
# all of it is still counted
"$WIRESWEEP" inspect --json small.h5 | tr -d '\\ \n\t' >described
grep -q '"rows":100' described
grep -q '"flows":1200' described

# windows of 10 s: no flow reaches over an edge, no packet is lost, and there are more flows
extract windows.h5 --set window=10 --set window_rule=flows --set window_origin=epoch
[ "$(column windows.h5 row_hash | wc -l)" -gt 1200 ]
"$WIRESWEEP" export windows.h5 | awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { first = substr($at["first_ns"], 1, length($at["first_ns"]) - 10); last = substr($at["last_ns"], 1, length($at["last_ns"]) - 10)
      if (first != last) { print; exit 1 } }'
sum() { "$WIRESWEEP" export "$1" | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next } { n += $at["packets_forward"] + $at["packets_backward"] } END { print n }'; }
[ "$(sum all.h5)" = "$(sum windows.h5)" ]

# alone, and counted from the first packet of each capture: a 5-tuple has one row a window, and that row all its packets
extract alone.h5 --set window=10
[ "$(sum all.h5)" = "$(sum alone.h5)" ]
"$WIRESWEEP" extract -q --packets 2 -o a.h5 --set window=10 in/a.pcap
start_a=$(column a.h5 first_ns | sort -n | sed -n 1p)
"$WIRESWEEP" export a.h5 | awk -F, -v origin="$start_a" '
    # differences of nanoseconds since 1970 do not fit a double: whole seconds and the rest apart
    function seconds(t) { return substr(t, 1, length(t) - 9) - substr(origin, 1, length(origin) - 9) + (substr(t, length(t) - 8) - substr(origin, length(origin) - 8)) / 1e9 }
    function window(t) { return int(seconds(t) / 10 + 1e-12) }
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { first = window($at["first_ns"]); last = window($at["last_ns"])
      if (first != last || seen[$at["key_hash"] " " first]++) { print "window " first " " last ": " $0; exit 1 } }'
same_everywhere "windows alone" "2:100000 3:5000" --dataset mawi --set window=3 in
same_everywhere "windows alone in little memory" "1:100000 2:1000000000" --dataset mawi --set window=3 --memory 1M in
[ "$(extract_hash 2 50000 --set window=3 in)" = "$(extract_hash 2 50000 --set window=3 --memory 1M in)" ]

status=0
"$WIRESWEEP" extract -q --set reservoir=5 --set reservoir_kind=balanced -o none.h5 in 2>messages || status=$?
[ $status = 2 ] && grep -q 'reservoir' messages && [ ! -e none.h5 ]
