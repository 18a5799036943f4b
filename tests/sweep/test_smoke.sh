#!/bin/bash
# configs/sweeps/smoke.json over a synthetic capture: the whole chain through the command line, in a minute of 2 cores; the same
# tables with one worker and with three, and after an interruption; wrong configurations start nothing.
# ctest: labels=slow timeout=240
set -euo pipefail
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
ends_with() { # ends_with STATUS COMMAND...
    local expected=$1 status=0
    shift
    "$@" > "$folder/stdout" 2> "$folder/stderr" || status=$?
    [ $status = "$expected" ] || { cat "$folder/stderr" >&2; fail "status $status, not $expected: $*"; }
}

# the same layout as in the source tree, so that the sweep is used as it stands
mkdir -p "$folder/configs/sweeps" "$folder/build/smoke"
cp "$WIRESWEEP_SOURCE/configs/sweeps/smoke.json" "$folder/configs/sweeps/"
smoke=$folder/configs/sweeps/smoke.json

# without the store: said once, status 2, nothing made
ends_with 2 "$WIRESWEEP" sweep "$smoke" -o "$folder/never"
grep -q "synthetic.h5" "$folder/stderr" || fail "the missing store is not named"
[ ! -e "$folder/never" ] || fail "something was started"

"$WIRESWEEP_TOOLS/make_capture" --flows 1500 --seed 1 -o "$folder/build/smoke/synthetic.pcap" \
    --labels "$folder/build/smoke/labels.csv" > /dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels "$folder/build/smoke/labels.csv" \
    -o "$folder/build/smoke/synthetic.h5" "$folder/build/smoke/synthetic.pcap"

sed 's/"steps"/"stepz"/' "$smoke" > "$folder/configs/sweeps/wrong.json"
ends_with 2 "$WIRESWEEP" sweep "$folder/configs/sweeps/wrong.json" -o "$folder/never"
grep -q 'Did you mean "steps"' "$folder/stderr" || fail "no suggestion for a mistyped key"
grep -q "nothing was started" "$folder/stderr" || fail "no word that nothing was started"
[ ! -e "$folder/never" ] || fail "something was started"

ends_with 0 "$WIRESWEEP" sweep "$smoke" --dry-run -o "$folder/never"
[ ! -e "$folder/never" ] || fail "a dry run wrote something"
# 3 seeds of flow_cfm and of logistic, 2 baselines for 2 tasks and 3 splits
[ "$(wc -l < "$folder/stdout")" = 18 ] || { cat "$folder/stdout" >&2; fail "18 trials were expected"; }

times > "$folder/before"
ends_with 0 "$WIRESWEEP" sweep "$smoke" --workers 2 -o "$folder/two"
times > "$folder/after"
# the second line: what programs begun here have used
used=$(awk 'FNR == 2 { gsub("[ms]", " "); sum = $1 * 60 + $2 + $3 * 60 + $4 - sum } END { print int(sum) }' "$folder/before" "$folder/after")
[ "$used" -lt 120 ] || fail "the smoke sweep took $used s of a core"
cat "$folder/stdout"
grep -q "flow_cfm.*3/3" "$folder/stdout" || fail "no line of flow_cfm"
grep -q "logistic.*3/3" "$folder/stdout" || fail "no line of logistic"
[ "$(grep -c "_majority_" "$folder/stdout")" = 2 ] || fail "two majority lines were expected"
[ "$(grep -c "_best_single_feature_" "$folder/stdout")" = 2 ] || fail "two best-single-feature lines were expected"
grep -q "synthetic" "$folder/stdout" || fail "the table does not say that the data are synthetic"
# what is printed is the main part of what is kept
grep -Fxv -f "$folder/two/tables/table.md" "$folder/stdout" && fail "what is printed is not what is kept"

# stopped on the way and continued, with another number of workers: the same bytes
stop_early() { # stop_early SWEEP_DIR OPTIONS...
    local status=0 sweep
    hold "$1/trials/*/record.json" 3 "" signal # in the next trial
    "${held[@]}" "$WIRESWEEP" sweep -q "$smoke" "${@:2}" -o "$1" > /dev/null 2>&1 &
    sweep=$!
    await_hold $sweep || fail "the sweep ended before it could be stopped"
    kill -TERM $sweep
    wait $sweep || status=$?
    [ $status = 75 ] || fail "a stopped sweep ended with $status, not 75"
    ends_with 0 "$WIRESWEEP" status --json "$1"
    grep -q '"failed": 0' "$folder/stdout" || { cat "$folder/stdout" >&2; fail "stopping made trials fail"; }
}
stop_early "$folder/one" --workers 1
ends_with 0 "$WIRESWEEP" sweep "$smoke" --workers 3 -o "$folder/one"
for table in table.md table.csv trials.csv; do
    cmp "$folder/one/tables/$table" "$folder/two/tables/$table" || fail "$table depends on how the sweep was run"
done
ends_with 0 "$WIRESWEEP" status "$folder/one"
grep -q "18 planned: 18 done, 0 failed, 0 running, 0 left" "$folder/stdout" || fail "status: $(cat "$folder/stdout")"

# and from the records alone
ends_with 0 "$WIRESWEEP" table "$folder/one"
cmp "$folder/stdout" "$folder/two/tables/table.md" || fail "table prints something else than sweep"
ends_with 0 "$WIRESWEEP" table "$folder/one" --format csv -o "$folder/table.csv"
cmp "$folder/table.csv" "$folder/two/tables/table.csv" || fail "table --format csv"
ends_with 2 "$WIRESWEEP" table "$folder/one" --format html5

# a trial of two ranks gives the same result as a trial of one
sed 's/"baselines": true/"baselines": false/' "$smoke" > "$folder/configs/sweeps/models.json"
smoke=$folder/configs/sweeps/models.json
stop_early "$folder/ranks" --ranks-per-trial 2
ends_with 0 "$WIRESWEEP" sweep "$smoke" --ranks-per-trial 2 -o "$folder/ranks"
cmp "$folder/ranks/tables/trials.csv" <(grep -v -e ,majority, -e ,best_single_feature, "$folder/two/tables/trials.csv") ||
    fail "the number of ranks changes the result"
echo passed
