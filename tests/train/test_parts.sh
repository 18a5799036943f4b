#!/bin/bash
# What parts a classifier needs: validation rows only where something is chosen by them; and a class that is both trained and tested.
# ctest: timeout=120
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 100 --seed 8 -o other.pcap --labels other.csv >/dev/null
tail -n +2 other.csv >>labels.csv
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o store.h5 synthetic.pcap other.pcap
tiny="--set train_fraction=0.5 --set validation_fraction=0.0001 --set minimum_rows=1" # so small a share is no row
"$WIRESWEEP" train -q logistic.json $tiny -o without >/dev/null 2>message.txt || fail "without validation rows: $(cat message.txt)"
jq -e '.result.counts | .train > 0 and .test > 0 and .validation == 0' without/record.json >/dev/null ||
    fail "the split has other parts: $(jq -c .result.counts without/record.json)"
status=0
"$WIRESWEEP" train -q cfm.json $tiny --set train.select=best -o best >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q 'train.select = "best": goes by normal validation rows, of which protocol random leaves none' message.txt ||
    fail "chosen by no validation rows: status $status: $(cat message.txt)"
"$WIRESWEEP" train cfm.json $tiny --set train.steps=2 -o quantiles >/dev/null 2>message.txt
grep -q 'no thresholds: protocol random leaves no normal validation rows' message.txt || fail "$(cat message.txt)"

# one class a capture: nothing that is learned is tested
awk -F, -v OFS=, 'NR > 1 { $8 = $1 == "other.pcap" ? "there" : "here"; $9 = "any" } 1' labels.csv >places.csv
"$WIRESWEEP" extract -q --dataset synthetic --labels places.csv -o store.h5 synthetic.pcap other.pcap
status=0
"$WIRESWEEP" train -q logistic.json --set protocol=capture --set validation_fraction=0 -o none >/dev/null 2>message.txt || status=$?
[ $status = 2 ] && grep -q 'store.h5: protocol capture tests no class that it trains' message.txt &&
    grep -q '^hint: ' message.txt || fail "no common class: status $status: $(cat message.txt)"
