#!/bin/bash
# ctest: timeout=120
# The key "columns": all but one are the others by name, in that order; the trained model asks for the same ones again.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
config() { # NAME COLUMNS
    printf '{ "store": "store.h5", "task": "anomaly", "label": "family", "normal": ["benign"], "columns": %s,
  "model": { "kind": "mahalanobis" } }\n' "$2" >"$1.json"
}
names=$("$WIRESWEEP" list features --json | jq -c '[.[] | select(.table == "flow20") | .name]')
[ "$(jq length <<<"$names")" = 20 ] || fail "flow20 has the columns $names"
config without '["!log_dur", "!psh_frac"]'
config others "$(jq -c 'map(select(. != "log_dur" and . != "psh_frac"))' <<<"$names")"
config all "$names"
config none '[]'
for name in without others all none; do "$WIRESWEEP" train $name.json -q -o $name >/dev/null; done
[ "$(parameter_hash without)" = "$(parameter_hash others)" ] || fail "all but two are not the others"
[ "$(parameter_hash all)" = "$(parameter_hash none)" ] || fail "no list is not all columns"
[ "$(parameter_hash all)" != "$(parameter_hash others)" ] || fail "columns change nothing"
auroc() { jq -c '[.scores[].auroc]' "$1"; }
"$WIRESWEEP" evaluate without -q --json >again.json
[ "$(auroc again.json)" = "$(jq -c '[.result.scores[].auroc]' without/record.json)" ] ||
    fail "evaluated again: $(auroc again.json)"
