#!/bin/bash
# The minimal build with nvcc, as on a bare CUDA machine: no MPI, HDF5 or libpcap, no warning from any kernel; its programs pass where there
# is a GPU, and skip where there is none.
# ctest: labels=slow timeout=3600
set -euo pipefail
command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || { echo "skip: no nvcc"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake -S "$WIRESWEEP_SOURCE" -B "$folder" -DWIRESWEEP_MINIMAL=REPLACED -DWIRESWEEP_CUDA=ON >"$folder/log" || { cat "$folder/log"; exit 1; }
cmake --build "$folder" -j 2 >"$folder/log" 2>&1 || { tail -30 "$folder/log"; exit 1; }
! grep -i 'warning' "$folder/log" || { echo "there are warnings"; exit 1; }
for program in cuda_parity device_training device_bench; do
    status=0
    "$folder/tests/minimal/$program" >"$folder/said" 2>&1 || status=$?
    [ $status = 0 ] || { [ $status = 77 ] && grep -qi 'CUDA' "$folder/said"; } || { echo "$program: $status"; cat "$folder/said"; exit 1; }
    ! ldd "$folder/tests/minimal/$program" | grep -E 'mpi|hdf5|pcap|cjson|openblas|crypto' || { echo "$program needs a library"; exit 1; }
done
