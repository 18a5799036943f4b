#!/bin/bash
# ctest: timeout=60
# Energy in records: what the counters of the processors tell, on two ranks once and not twice; nothing where there are none.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
mkdir -p powercap/intel-rapl:0
echo package-0 >powercap/intel-rapl:0/name
echo 262143328850 >powercap/intel-rapl:0/max_energy_range_uj
(at=1000000; while echo $((at += 1000000)) >powercap/next && mv powercap/next powercap/intel-rapl:0/energy_uj; do sleep 0.02; done) &
counter=$!
trap 'kill $counter 2>/dev/null || true; rm -rf "$work"' EXIT
until [ -s powercap/intel-rapl:0/energy_uj ]; do sleep 0.01; done
first=$(cat powercap/intel-rapl:0/energy_uj)
WIRESWEEP_POWERCAP=$PWD/powercap train 2 logistic.json measured
last=$(cat powercap/intel-rapl:0/energy_uj)
kill $counter
jq -e ".run.energy_joules.processors > 0 and .run.energy_joules.processors <= ($last - $first) / 1000000 + 1" measured/record.json >/dev/null ||
    fail "$(jq -c .run.energy_joules measured/record.json) of $(((last - first) / 1000000)) J"
jq -e '.run.energy_joules | has("gpus") | not' measured/record.json >/dev/null || fail "energy of GPUs that are not used"
WIRESWEEP_POWERCAP=$PWD/nothing train 1 logistic.json unmeasured
jq -e '.run | has("energy_joules") | not' unmeasured/record.json >/dev/null || fail "energy though nothing measures it"
