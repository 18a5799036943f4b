#!/bin/bash
# Label rules in an extraction: the same store for any ranks, counters in its provenance, flow rules of the family, another
# file with --config, and files that are wrong.
# ctest: labels=mpi timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir in
"$WIRESWEEP_TOOLS/make_capture" --flows 60 --seed 1 -o in/vpn_email1a.pcap >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 50 --seed 2 -o in/skype_audio1.pcap >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 40 --seed 3 -o in/unknown.pcap >/dev/null

for ranks in 1 2 3; do
    mpirun -n $ranks "$WIRESWEEP" extract --dataset iscxvpn2016 --set round_bytes=100000 -o $ranks.h5 in 2>messages
    "$WIRESWEEP" inspect --hash $ranks.h5 >>hashes
done
[ "$(sort -u hashes | wc -l)" = 1 ]
grep -q 'flows match no label rule' messages
grep -q 'rule vpn_email: ' messages
"$WIRESWEEP" inspect --json 3.h5 | tr -d '\\ \n\t' >described
grep -q '"name":"nonvpn_voip","overridden":0' described


# Time-outs come from the family's file, and settings come before it.
"$WIRESWEEP" extract -q --dataset cicids2017 -o cic.h5 in/unknown.pcap
"$WIRESWEEP" inspect --json cic.h5 | tr -d '\\ \n\t' | grep -q '"active_timeout":120'
"$WIRESWEEP" extract -q --dataset cicids2017 --set active_timeout=77 -o cic.h5 in/unknown.pcap
"$WIRESWEEP" inspect --json cic.h5 | tr -d '\\ \n\t' | grep -q '"active_timeout":77'

# A file of one's own, for any family; attempts are a column, and such flows take no part in a split.
cat >own.json <<'END'
{"active_timeout": 900, "levels": ["side"],
 "rules": [{"name": "left", "input": ["*email*"], "classes": {"side": "left"}},
           {"name": "none", "input": ["unknown*"], "attempted": 6, "classes": {"side": "left"}}],
 "otherwise": {"name": "right", "classes": {"side": "right"}}}
END
mpirun -n 2 "$WIRESWEEP" extract -q --config own.json --packets 0 -o own.h5 in
h5dump -d /labels/attempted own.h5 | grep -q '7, 7, 7'
"$WIRESWEEP" split own.h5 --label side -o split.json 2>/dev/null
parts=$(tr -d ' \n' <split.json | grep -o '"left":[0-9]*' | awk -F: '{ sum += $2 } END { print sum }')
left=$("$WIRESWEEP" inspect own.h5 | grep -A9 side | grep -o 'left *[0-9]*' | grep -o '[0-9]*$')
[ "$parts" = "$left" ]

# Wrong files: a line each, nothing written, status 2.
sed 's/"classes": {"side": "left"}}/"clases": {"side": "left"}}/' own.json >wrong.json
status=0
"$WIRESWEEP" extract -q --config wrong.json -o wrong.h5 in 2>messages || status=$?
[ $status = 2 ]
grep -q 'wrong.json:2:' messages
grep -q 'did you mean\|Did you mean' messages
[ ! -e wrong.h5 ] && [ ! -e wrong.h5.partial ]
