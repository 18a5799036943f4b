#!/bin/bash
# sklearn.sh [-o FILE] [-s SHARE] [-f FOREST]: training and prediction of random_forest and extra_trees beside scikit-learn's (sklearn_trees.py), on
# one core and on all that it may use, in turn on the same cores; a Markdown table with how many times faster ours is. -s: with this
# share of the 400 and 800 trees; -f: one forest only. PYTHON is an interpreter that has scikit-learn (default: python3; `apt-get install python3-sklearn`, or a
# virtual environment with `pip install scikit-learn`). FIT says where tests/tools/fit_classical is built (default:
# build/release/bin/fit_classical).
set -euo pipefail
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
output=/dev/stdout
share=1 forest=()
while getopts o:s:f: option; do
    case $option in
    o) output=$OPTARG ;;
    s) share=$OPTARG ;;
    f) forest=("$OPTARG") ;;
    *) exit 2 ;;
    esac
done
program=${FIT:-$source_folder/build/release/bin/fit_classical}
python=${PYTHON:-python3}
"$python" -c 'import sklearn' 2>/dev/null || { echo "skipped: $python has no sklearn" >&2; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_hwloc_base_binding_policy=none
"$python" "$source_folder/tests/bench/sklearn_trees.py" "$program" "$folder" "$share" "${forest[@]}" >"$folder/table"
{
    cat <<END
# Forests beside scikit-learn

\`tests/bench/sklearn.sh$([ "$share" = 1 ] || echo " -s $share")\`, $(date -u +%F), $(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo), $(nproc) cores,
$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release); $(head -1 "$folder/table"). 30,000 rows of 116 columns and 10 classes, made up; as
many others to predict. In turn on the same cores, on all of them with \`n_jobs=-1\` and as many threads: ours, scikit-learn, ours,
scikit-learn; the faster round of each. Prediction gives probabilities. Both look for exact cuts, of the same options.

| forest | trees | cores | what | wiresweep, s | scikit-learn, s | times faster |
|---|---:|---:|---|---:|---:|---:|
END
    sed -n '2,$s/^\([^ ]*\) \([^ ]*\) \([^ ]*\) \([^ ]*\) \([^ ]*\) \([^ ]*\) \([^ ]*\)$/| \1 | \2 | \3 | \4 | \5 | \6 | \7 |/p' "$folder/table"
} >"$output"
