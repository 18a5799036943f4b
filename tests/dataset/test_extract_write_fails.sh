#!/bin/bash
# One write of the store fails, of one rank, whichever: one line, status 1, no store, and no rank waits for ever.
# ctest: labels=mpi timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$WIRESWEEP_TOOLS/make_capture" --flows 20000 --snap-length 128 -o made.pcap >/dev/null
for case in "2 0 5" "2 0 20" "2 1 5" "2 1 15" "4 1 10" "4 2 10"; do
    read -r ranks failing writes <<<"$case"
    status=0
    timeout 60 mpirun -n "$ranks" env "LD_PRELOAD=$WIRESWEEP_BUILD/bin/libfail_write.so" WIRESWEEP_FAIL_PATH='*/store.h5.partial*' \
        "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
        "WIRESWEEP_FAIL_RANK=$failing" "WIRESWEEP_FAIL_AFTER=$writes" "$WIRESWEEP" extract -q -o store.h5 made.pcap >out 2>err || status=$?
    [ $status = 1 ] && [ "$(grep -c '^error: ' err)" = 1 ] && grep -q '^error: HDF5 error: .*write failed' err ||
        { echo "rank $failing of $ranks after $writes writes: status $status: $(cat err)"; exit 1; }
    [ ! -e store.h5 ] || { echo "a store under its final name"; exit 1; }
    rm -rf store.h5*
done
