#!/bin/bash
# Every subcommand explains itself with an example; wrong usage ends with status 2, one line, and a guess at what was meant.
# ctest: timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# run STATUS ARGUMENT...: output in $folder/out and $folder/err
run() {
    local want=$1 got=0
    shift
    "$WIRESWEEP" "$@" >"$folder/out" 2>"$folder/err" </dev/null || got=$?
    [ "$got" = "$want" ] || fail "wiresweep $*: status $got, must be $want: $(head -n 3 "$folder/err")"
}

says() {
    grep -q -- "$1" "$folder/$2" || fail "$3: '$1' is not in: $(cat "$folder/$2")"
}

run 0 --version
says '^wiresweep [0-9]' out --version
run 0 --help
cp "$folder/out" "$folder/overview"
run 2

subcommands=$(sed -n 's/^JOB(\([a-z_]*\))$/\1/p' "$WIRESWEEP_SOURCE/jobs/jobs.def")
[ "$(echo "$subcommands" | wc -l)" -ge 12 ] || fail "jobs.def lists fewer subcommands than the command line promises"
for name in $subcommands; do
    grep -qE "^  $name +[a-zA-Z]" "$folder/overview" || fail "wiresweep --help does not list $name"
    run 0 "$name" --help
    says "^usage: wiresweep $name" out "$name --help"
    says "^example:" out "$name --help"
    sed '1,/^example:/d' "$folder/out" | grep -q "wiresweep $name" || fail "$name --help: the example does not show $name"
    [ ! -s "$folder/err" ] || fail "$name --help writes to stderr: $(cat "$folder/err")"
    run 2 "$name" --quiett
    says '^error: wrong usage: ' err "$name --quiett"
    says 'did you mean --quiet?' err "$name --quiett"
    [ ! -s "$folder/out" ] || fail "$name --quiett writes to stdout"
done

run 2 extrakt
says 'did you mean wiresweep extract?' err extrakt
run 2 qqqqqqqq
says 'wiresweep --help lists them' err qqqqqqqq

# A file that is not there is named, and nothing is left behind.
cd "$folder"
run 2 extract -o store.h5 nowhere.pcap
says 'nowhere.pcap' err "extract of a missing file"
run 1 inspect nowhere.h5
says 'nowhere.h5' err "inspect of a missing file"
run 2 extract --dataset ndpy -o store.h5 nowhere.pcap
says 'did you mean' err "extract --dataset ndpy"
run 2 train nowhere.json -o run
says 'nowhere.json' err "train of a missing configuration"
run 2 train nowhere.json --seed -1 -o run
says '--seed -1' err "train --seed -1"
[ -z "$(ls | grep -vE '^(out|err|overview)$' || true)" ] || fail "something was left behind: $(ls)"

[ $failures = 0 ]
