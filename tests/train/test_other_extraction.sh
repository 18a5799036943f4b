#!/bin/bash
# Two stores meet only where they were extracted alike, as far as that shapes what the model sees: the option that differs is named
# with both values and how to extract again; a user who knows better says so, and the result tells of it.
# ctest: timeout=240
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 8 -o second.pcap --labels second.csv >/dev/null
# other OPTION...: other.h5, extracted so
other() { rm -f other.h5 && "$WIRESWEEP" extract -q --dataset synthetic --labels second.csv "$@" -o other.h5 second.pcap >/dev/null; }
across() { "$WIRESWEEP" evaluate "$1" -q --json --store other.h5 --protocol cross_store "${@:2}"; }
# refused RUN DIFFERENCE REMEDY
refused() {
    local status=0
    across "$1" >result.json 2>message.txt || status=$?
    [ $status = 2 ] && grep -q "other.h5: was not extracted as the store that trained: $2\$" message.txt &&
        grep -q "^hint: extract it again with $3, or take it as it is with --other-extraction" message.txt ||
        fail "$2: status $status: $(cat message.txt)"
}
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv --features first20,extended_5 -o store.h5 synthetic.pcap
train 1 logistic.json summary --set minimum_rows=1
train 1 logistic.json first --set minimum_rows=1 --set features=first20
train 1 logistic.json extended --set minimum_rows=1 --set features=extended_5

other --set idle_timeout=1
refused summary 'idle_timeout 1, not 120' '--set idle_timeout=120'
other --set direction=syn --set tunnels=inner
refused summary 'direction syn, not first; tunnels inner, not outer' '--set direction=first --set tunnels=outer'
other --filter 'tcp port 443 or udp'
status=0
across summary >result.json 2>message.txt || status=$?
[ $status = 2 ] && grep -q "trained: filter tcp port 443 or udp, not none" message.txt || fail "filter: $(cat message.txt)"
other --set window=10
status=0
across summary >result.json 2>message.txt || status=$?
[ $status = 2 ] && grep -q "window 10, not none" message.txt || fail "window: $(cat message.txt)"
across summary --other-extraction >result.json 2>message.txt
grep -q 'warning: .*window 10, not none' message.txt || fail "what is accepted is not said: $(cat message.txt)"
jq -e '.extracted_otherwise | startswith("window 10, not none")' result.json >/dev/null || fail "$(cat result.json)"
jq -e '.audit.test_in_train | .duplicates == null and .near_duplicates == null and .sessions != null' result.json \
    >/dev/null || fail "rows that cannot be compared are: $(jq .audit result.json)"

# Stored packets matter as far as they enter the features.
other --packets 5 --features first20,extended_5
across summary >result.json
jq -e 'has("extracted_otherwise") | not' result.json >/dev/null || fail "$(cat result.json)"
refused first 'packets 5, not 128' '--packets 128'
other --packets 64 --features first20,extended_5
across first >result.json
refused extended 'packets 64, not 128' '--packets 128'

# What chooses rows, or hides what no model sees, is no difference.
other --protocols icmp --endpoints plain --set reservoir=100
across summary >result.json

# The audit of a split compares packets too.
other --packets 64
status=0
"$WIRESWEEP" split other.h5 --protocol cross_store --training-store store.h5 >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q 'packets 64, not 128' message.txt || fail "split: status $status: $(cat message.txt)"
"$WIRESWEEP" split other.h5 --protocol cross_store --training-store store.h5 --other-extraction >report.txt 2>message.txt
grep -q '^  duplicates  *-' report.txt || fail "rows that cannot be compared are: $(cat report.txt)"
