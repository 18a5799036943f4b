#!/bin/bash
# ctest: labels=cli timeout=300
# Where a small file is due, a pipe without a writer is refused at once with a line that names it: nothing waits for it.
set -u
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
"$WIRESWEEP_TOOLS/make_capture" --flows 20 -o a.pcap >/dev/null || exit 1
"$WIRESWEEP" extract -q --dataset synthetic -o store.h5 a.pcap || exit 1
mkfifo pipe.json
echo '{ "store": "pipe.json", "task": "anomaly", "label": "family", "normal": ["benign"], "model": {"kind": "flow_cfm"} }' >train.json
echo '{ "base": "pipe.json", "grid": { "train.seed": [0, 1] } }' >sweep.json

# refused COMMAND...: ends soon, with one line of error that names the pipe, and writes nothing
refused() {
    local status=0 before
    before=$(ls)
    timeout 100 "$@" >output 2>message || status=$?
    rm -f output
    [ $status -ne 0 ] && [ $status -lt 64 ] && grep 'pipe.json' message | grep -q 'regular file\|no such file\|does not exist' ||
        { echo "FAILED: $* ends with $status: $(cat message)"; exit 1; }
    rm -f message
    [ "$(ls)" = "$before" ] || { echo "FAILED: $* left: $(ls)"; exit 1; }
}
refused "$WIRESWEEP" extract -q --dataset synthetic --labels pipe.json -o new.h5 a.pcap
refused "$WIRESWEEP" extract -q --config pipe.json -o new.h5 a.pcap
refused "$WIRESWEEP" extract -q --dataset cicids2017 --config pipe.json -o new.h5 a.pcap
refused "$WIRESWEEP" extract -q --endpoints keyed --key pipe.json -o new.h5 a.pcap
refused "$WIRESWEEP" extract -q -o new.h5 @pipe.json
refused "$WIRESWEEP" extract -q -o new.h5 pipe.json
refused "$WIRESWEEP" train pipe.json -o new
refused "$WIRESWEEP" train train.json -o new
refused mpirun -n 2 "$WIRESWEEP" extract -q --dataset synthetic --labels pipe.json -o new.h5 a.pcap
refused mpirun -n 2 "$WIRESWEEP" train pipe.json -o new
refused "$WIRESWEEP" sweep pipe.json -o new
refused "$WIRESWEEP" sweep sweep.json -o new
refused "$WIRESWEEP" split pipe.json --protocol random -o new.json
refused "$WIRESWEEP" inspect pipe.json
refused "$WIRESWEEP" export pipe.json --format csv -o new.csv
