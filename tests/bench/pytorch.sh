#!/bin/bash
# pytorch.sh [-o FILE]: training steps of our networks beside the same networks in PyTorch (tests/bench/pytorch_step.py), one thread
# each, in turn on the same core; a Markdown table with the ratio of ours to PyTorch's. PYTHON is an interpreter that has torch
# (default: python3; `apt-get install python3-torch`, or a virtual environment with `pip install torch`). WIRESWEEP says where
# the program is (default: build/release/bin/wiresweep).
set -euo pipefail
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
output=/dev/stdout
while getopts o: option; do
    case $option in
    o) output=$OPTARG ;;
    *) exit 2 ;;
    esac
done
program=${WIRESWEEP:-$source_folder/build/release/bin/wiresweep}
python=${PYTHON:-python3}
"$python" -c 'import torch' 2>/dev/null || { echo "skipped: $python has no torch" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# Ours before and behind PyTorch's; the faster of both rounds of each, so that a busy moment is not held against either.
for round in 1 2; do
    taskset -c 0 "$program" bench models --json >"$folder/ours.$round"
    taskset -c 0 "$python" "$source_folder/tests/bench/pytorch_step.py" flow_cfm:32 flow_cfm:256 unified_cfm:64 mamba_block:16 \
        >"$folder/peer.$round"
done
{
    cat <<END
# Training steps beside PyTorch

\`tests/bench/pytorch.sh\`, $(date -u +%F), one core of $(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo), $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release);
$(head -1 "$folder/peer.1"), one thread. In turn on the same core: ours, PyTorch, ours, PyTorch; the faster round of each. A step is
forward, backward, norm and clipping of the gradient, AdamW and the average of the parameters, inputs ready. A ratio below 1:
wiresweep is faster. PyTorch has no selective scan of its own on a CPU: its \`mamba_block\` loops over time as the reference program
does (\`selective_scan_ref\`), which is what a user without a GPU has, not what PyTorch could do.

END
    echo "| network | rows of a step | wiresweep, ms | PyTorch, ms | ratio |"
    echo "|---|---:|---:|---:|---:|"
    sed -n '2,$p' "$folder/peer.1" | while read -r name rows parameters first; do
        second=$(awk -v n="$name" -v r="$rows" '$1 == n && $2 == r { print $4 }' "$folder/peer.2")
        ours=$(cat "$folder"/ours.* | tr '{' '\n' | sed -n "s/\"name\":\"$name step, $rows rows, rate\",\"value\":\([0-9.e+]*\),.*/\1/p" |
            sort -g | tail -1)
        [ -n "$ours" ] || { echo "| $name | $rows | no such row | | |"; continue; }
        awk -v n="$name" -v r="$rows" -v o="$ours" -v a="$first" -v b="$second" \
            'BEGIN { p = a < b ? a : b; printf "| %s | %d | %.2f | %.2f | %.2f |\n", n, r, 1000 / o, p, 1000 / o / p }'
    done
} >"$output"
