#!/bin/bash
# ctest: timeout=60
# What a trial is called by: options that have their default do not enter, so that it keeps its name when options are added; the
# defaults that names rest on are those of tests/train/defaults.txt.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
name() { # name EXTRA...: of a trial of flow_cfm with these keys besides
    printf '{ "base": { "store": "store.h5", "task": "anomaly", "label": "family", "normal": ["benign"] %s } }\n' "$1" >sweep.json
    "$WIRESWEEP" sweep -q sweep.json --dry-run --json | jq -r '.[0].id'
}
plain=$(name ', "model": { "kind": "flow_cfm" }')
[[ $plain =~ ^[0-9a-f]{16}$ ]] || fail "no name: $plain"
[ "$(name ', "protocol": "random", "columns": [], "model": { "kind": "flow_cfm", "sigma": 0.1, "path": "straight" },
    "train": { "steps": 20000, "learning_rate": 0.001, "reduction": "fixed" }, "evaluate": { "bootstrap": 1000 }')" = "$plain" ] ||
    fail "defaults that are written out make another trial"
for other in ', "model": { "kind": "flow_cfm", "sigma": 0.2 }' ', "model": { "kind": "flow_cfm", "path": "lipman" }' \
    ', "columns": ["!log_dur"], "model": { "kind": "flow_cfm" }' ', "minimum_rows": 11, "model": { "kind": "flow_cfm" }' \
    ', "model": { "kind": "flow_cfm" }, "train": { "seed": 1 }' ', "model": { "kind": "flow_cfm" }, "train": { "clip": 0 }' \
    ', "model": { "kind": "flow_cfm" }, "protocol_seed": 1' ', "model": { "kind": "flow_cfm" }, "evaluate": { "bootstrap": 999 }'; do
    id=$(name "$other")
    [ "$id" != "$plain" ] || fail "another configuration makes the same trial: $other"
done

# a default that changes leaves names as they were and results not: it needs another schema, and then a new list
"$WIRESWEEP" train --help | awk '/^model.kind "/ { gsub(/[":]/, "", $2); kind = $2 " " }
    match($0, /default [^;\]]*\]$/) && $1 !~ /^-/ { print kind $1 " " substr($0, RSTART + 8, RLENGTH - 9) }' >now
changed=$(grep -Fxv -f now "$WIRESWEEP_SOURCE/tests/train/defaults.txt") &&
    fail "these are not the defaults any more that trials are called by; raise WS_RECORD_SCHEMA (src/train/train.h) and write the list anew: $changed"
[ "$(wc -l <now)" -gt 100 ] || fail "hardly a default is listed: $(cat now)"
