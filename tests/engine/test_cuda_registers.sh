#!/bin/bash
# What ptxas gives each CUDA kernel (registers, shared memory, stack, spills) as a table; a kernel that spills registers or keeps arrays
# in local memory fails, but for those below. Needs nvcc, no GPU.
# ctest: labels=slow timeout=900
set -euo pipefail
cd "$WIRESWEEP_SOURCE"

nvcc=$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc) || { echo "skip: no nvcc"; exit 77; }
# Allowed: knots of a spline, which are looked up by number; the scan with 33 to 64 states a channel; sine and power in double.
allowed='^(move_columns|column_gradients|scan_back<16>|turn_positions) '
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

compile() { # FILE ARCHITECTURE: what ptxas says
    "$nvcc" -std=c++17 -O3 -Isrc -Ikernels -Xptxas=-v -cubin -arch="$2" -o /dev/null "$1" >"$folder/$(basename "$1" .cu).$2" 2>&1 ||
        { cat "$folder/$(basename "$1" .cu).$2"; exit 255; }
}
export -f compile
export nvcc folder
for architecture in sm_80 sm_90; do
    printf '%s\n' kernels/cuda/*.cu | xargs -P 2 -I{} bash -c "compile {} $architecture"
done

for report in "$folder"/*; do
    sed 's/^ptxas info *: //' "$report" | c++filt | awk -v of="$(basename "$report")" '
        /^Compiling entry function/ { match($0, /\047.*\047 for/); name = substr($0, RSTART + 1, RLENGTH - 6) }
        /bytes stack frame/ && name != "" && !(name in stack) { stack[name] = $1; spilled[name] = $5 + $9 }
        /^Used [0-9]+ registers/ {
            shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH) + 0 : 0
            sub(/^void /, "", name); plain = name; sub(/\(.*/, "", plain); gsub(/\(int\)/, "", plain)
            printf "%-28s %-24s %4d registers %6d shared %5d stack %5d spilled\n", plain, of, $2, shared, stack[name], spilled[name]
            name = ""
        }'
done | sort >"$folder/table"
cat "$folder/table"
[ "$(wc -l <"$folder/table")" -gt 100 ] || { echo "too few kernels were found"; exit 1; }
! grep -Ev "$allowed" "$folder/table" | grep -Ev ' 0 stack +0 spilled' || { echo "these keep registers or arrays in local memory"; exit 1; }
