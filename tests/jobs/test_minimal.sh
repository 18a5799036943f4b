#!/bin/bash
# The minimal build, as on a machine that has nothing but a compiler and CMake: it builds, and its programs skip where there is no device.
# ctest: labels=slow timeout=900
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake -S "$WIRESWEEP_SOURCE" -B "$folder" -DWIRESWEEP_MINIMAL=REPLACED -DWIRESWEEP_CUDA=OFF >"$folder/log" || { cat "$folder/log"; exit 1; }
[ "$(grep -c ' replaced$' "$folder/log")" = 3 ] || { echo "a library was not replaced"; cat "$folder/log"; exit 1; }
cmake --build "$folder" -j 2 >"$folder/log" 2>&1 || { tail -30 "$folder/log"; exit 1; }
for program in cuda_parity device_training device_bench; do
    status=0
    "$folder/tests/minimal/$program" >"$folder/said" 2>&1 || status=$?
    [ "$status" = 77 ] && grep -q "without CUDA\|no CUDA" "$folder/said" || { echo "$program: $status"; cat "$folder/said"; exit 1; }
    ! ldd "$folder/tests/minimal/$program" | grep -E 'mpi|hdf5|pcap|cjson|openblas|crypto' || { echo "$program needs a library"; exit 1; }
done
