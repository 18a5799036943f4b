#!/bin/bash
# Flows of a CICIDS2017 capture have the values of CICFlowMeter: by the corrected tool's definitions, computed apart, and by rows
# that the original tool published of the same connections, up to the first FIN, where it cuts them.
# ctest: timeout=120
set -euo pipefail
for program in python3 h5dump; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
data="${WIRESWEEP_SHARED_DATA:-}/cicids2017"
capture=$(ls "$data"/slices/*.pcap 2>/dev/null | head -n 1 || true)
published="$data/Mondirkb+dataset-CIC-IDS-2017/data/baseline_xss.csv"
[ -n "$capture" ] && [ -e "$published" ] || { echo "skipped: no slice of CICIDS2017 under WIRESWEEP_SHARED_DATA"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$WIRESWEEP" extract -q --endpoints plain --dataset cicids2017 --packets 65536 -o slice.h5 "$capture"
python3 -B "$WIRESWEEP_SOURCE/tests/reference/cicflowmeter.py" slice.h5 "$capture" "$published"
