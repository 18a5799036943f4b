#!/bin/bash
# ctest: labels=cli timeout=60
# The file of --config may hold all settings and label rules at once: each setting that `extract --help` lists passes beside
# rules, and so does every file of configs/datasets; a key that nobody reads does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$WIRESWEEP_TOOLS/make_capture" --flows 20 -o a.pcap >/dev/null
rules='"levels": ["label"], "rules": [{"name": "all", "input": ["a*"], "classes": {"label": "x"}}]'
"$WIRESWEEP" extract --help >help
settings=$(sed -n '/^settings/,/^$/s/^  \([a-z_]*\) .*/\1/p' help)
count=0
for key in $settings; do
    value=1
    for try in $(sed -n "/^settings/,\$s/^  $key .*\[\([a-z]*\)|.*default.*/\"\1\"/p" help); do value=$try; done
    [ "$key" != groups ] || value='["a*"]'
    echo "{ $rules, \"$key\": $value }" >config.json
    "$WIRESWEEP" extract -q --config config.json -o store.h5 a.pcap 2>message || { echo "FAILED: $(cat config.json): $(cat message)"; exit 1; }
    count=$((count + 1))
done
[ $count -ge 18 ] || { echo "FAILED: only $count settings are listed: $settings"; exit 1; }
for file in "$WIRESWEEP_SOURCE"/configs/datasets/*.json; do
    "$WIRESWEEP" extract -q --config "$file" -o store.h5 a.pcap 2>message || { echo "FAILED: $file: $(cat message)"; exit 1; }
done
status=0
echo "{ $rules, \"windov\": 5 }" >config.json
"$WIRESWEEP" extract -q --config config.json -o store.h5 a.pcap 2>message || status=$?
[ $status = 2 ] && grep -q 'windov: unknown key. Did you mean "window"' message || { echo "FAILED: $status: $(cat message)"; exit 1; }
