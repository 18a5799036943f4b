#!/bin/bash
# Flows of every capture of the shared data agree with the second implementation in tests/reference, but for captures that are
# damaged or have link types that it does not know.
# ctest: labels=slow timeout=600
set -euo pipefail
for program in python3 h5dump; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
[ -d "$WIRESWEEP_SHARED_DATA" ] || { echo "skipped: no captures in $WIRESWEEP_SHARED_DATA"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
find "$WIRESWEEP_SHARED_DATA" -type f ! -name '*.csv*' ! -name '*.out' ! -name '*.arff' ! -name '*.tsv' >list
status=0
"$WIRESWEEP" extract -q --on-error skip --endpoints plain -o all.h5 @list 2>messages || status=$?
[ $status = 3 ] || [ $status = 0 ] || { cat messages; exit 1; }
python3 -B "$WIRESWEEP_SOURCE/tests/reference/compare.py" --least 1500 all.h5 @list
