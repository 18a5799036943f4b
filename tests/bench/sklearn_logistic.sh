#!/bin/bash
# sklearn_logistic.sh DATA: logistic regression beside scikit-learn's on three public flow tables, which lie under DATA: a Markdown table,
# exit status 1 where they differ (sklearn_logistic.py). PYTHON is an interpreter that has scikit-learn and h5py (default: python3);
# WIRESWEEP the program (default: build/release/bin/wiresweep).
set -euo pipefail
source_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=${WIRESWEEP:-$source_folder/build/release/bin/wiresweep}
python=${PYTHON:-python3}
"$python" -c 'import sklearn, h5py' 2>/dev/null || { echo "skipped: $python has no sklearn and h5py" >&2; exit 77; }
data=$(cd "$1" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# one NAME DATASET TABLE COLUMNS INPUT
one() {
    "$program" extract -q --dataset "$2" -o "$folder/$1.h5" "$5"
    local model
    for model in '"kind": "logistic", "gradient_tolerance": 1e-7' '"kind": "knn"'; do
        printf '{"store": "%s.h5", "task": "classify", "label": "label", "protocol": "leaderboard", "features": "%s", "columns": %s, "model": {%s}}' \
            "$1" "$3" "$4" "$model" >"$folder/config.json"
        "$program" train -q "$folder/config.json" -o "$folder/$1.$(grep -o 'logistic\|knn' <<<"$model" | head -n 1)" >/dev/null
    done
}
one iscxvpn2016 iscxvpn2016 iscx_time '[]' "$(find "$data/iscxvpn2016" -name TimeBasedFeatures-Dataset-15s-VPN.arff)"
one iscxtor2016 iscxtor2016 iscx_time '["!flowBytesPerSecond"]' "$(find "$data/iscxtor2016" -name tor_nontor.csv)"
one ustc_tfc2016 ustc_tfc2016 conversation '[]' "$(find "$data/ustc-tfc2016" -maxdepth 1 -name '*ML_USTC*')"
echo "| data set | training rows | columns | classes | largest coefficient | largest difference | same prediction |"
echo "|---|---:|---:|---:|---:|---:|---:|"
"$python" "$source_folder/tests/bench/sklearn_logistic.py" "$folder" iscxvpn2016=iscx_time iscxtor2016=iscx_time ustc_tfc2016=conversation
