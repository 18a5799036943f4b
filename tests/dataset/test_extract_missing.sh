#!/bin/bash
# ctest: timeout=60
# Inputs that are named and are not there, or hold nothing: an error that names the first; with --on-error skip each is left out,
# counted and named in the store, on any number of ranks, as is an input that is no capture.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
"$WIRESWEEP_TOOLS/make_capture" --flows 40 --seed 1 -o a.pcap >/dev/null
"$WIRESWEEP_TOOLS/make_capture" --flows 30 --seed 2 -o b.pcap >/dev/null
echo no capture >text.pcap
mkdir empty
printf 'b.pcap\ngone.pcap\nnight*.pcap\n' >manifest
expect() { # expect STATUS TEXT ARGUMENT...
    local wanted=$1 text=$2 status=0
    shift 2
    "$@" 2>message || status=$?
    [ $status = "$wanted" ] && grep -q -- "$text" message || fail "$*: status $status, said: $(cat message)"
}
for input in gone.pcap empty 'night*.pcap' @manifest; do
    expect 2 'error: .*\(gone.pcap: No such file\|empty: no captures\|night.*: no file matches\)' \
        "$WIRESWEEP" extract -q -o wrong.h5 a.pcap "$input"
    [ ! -e wrong.h5 ] || fail "$input: there is a store"
done
"$WIRESWEEP" extract -q -o wanted.h5 a.pcap b.pcap
for ranks in 1 3; do
    expect 3 '5 of 7 inputs could not be read and were left out; the first: absent.pcap: No such file' \
        mpirun -q -n $ranks "$WIRESWEEP" extract -q --on-error skip -o some.h5 a.pcap absent.pcap empty text.pcap @manifest
    [ "$("$WIRESWEEP" inspect --hash some.h5)" = "$("$WIRESWEEP" inspect --hash wanted.h5)" ] || fail "$ranks ranks: other rows"
    "$WIRESWEEP" inspect --json some.h5 >about
    [ "$(jq -c '[.counters.inputs_skipped[].name]' about)" = '["absent.pcap","empty","gone.pcap","night*.pcap","text.pcap"]' ] ||
        fail "$ranks ranks: $(jq -c .counters.inputs_skipped about)"
    [ "$(jq -r '.counters.inputs_skipped[3].reason' about)" = 'night*.pcap: no file matches this pattern' ] ||
        fail "$(jq -c .counters.inputs_skipped about)"
done
expect 3 '1 of 2 inputs' "$WIRESWEEP" extract -q --append --on-error skip -o b.h5 b.pcap gone.pcap
expect 3 '1 of 2 inputs' "$WIRESWEEP" extract -q --append --on-error skip -o b.h5 a.pcap absent.pcap
"$WIRESWEEP" inspect --json b.h5 >about
[ "$(jq -c '[.counters.inputs_skipped[].name] | sort' about)" = '["absent.pcap","gone.pcap"]' ] || fail "added to: $(jq -c .counters about)"
# nothing at all, and a list that is not there, whose inputs nobody knows
expect 1 'none of the 2 inputs can be read; the first: empty: no captures' \
    "$WIRESWEEP" extract -q --on-error skip -o wrong.h5 gone.pcap empty
expect 2 '@gone: cannot open this list' "$WIRESWEEP" extract -q --on-error skip -o wrong.h5 a.pcap @gone
[ ! -e wrong.h5 ] || fail "there is a store"
