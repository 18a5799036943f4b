#!/bin/bash
# ctest: timeout=120
# Energy in records: what the counters of the processors tell, on two ranks once and not twice; nothing where there are none. Every GPU that
# is used counts, also where each rank sees its own alone.
. "$WIRESWEEP_SOURCE/tests/train/small_store.sh"
mkdir -p powercap/intel-rapl:0
echo package-0 >powercap/intel-rapl:0/name
echo 262143328850 >powercap/intel-rapl:0/max_energy_range_uj
# 3 J more at each reading, however soon the next one comes; it begins anew after the first. Each reading has a pipe of its own: before
# one is given its number, the name leads to the next.
mkfifo powercap/intel-rapl:0/energy_uj
set -m # the counter waits for a reader, in a group of its own
(at=262142328850; while exec 3>powercap/intel-rapl:0/energy_uj; do
    mkfifo powercap/next && mv -f powercap/next powercap/intel-rapl:0/energy_uj
    echo $at >&3
    exec 3>&-
    echo $at >>readings
    at=$(((at + 3000000) % 262143328850))
done) >/dev/null 2>&1 &
counter=$!
set +m
trap 'kill -- -$counter 2>/dev/null || true; rm -rf "$work"' EXIT
WIRESWEEP_POWERCAP=$PWD/powercap train 2 logistic.json measured
kill -- -$counter
jq -e '.run.energy_joules.processors > 0 and .run.energy_joules.processors <= 3' measured/record.json >/dev/null ||
    fail "$(jq -c .run.energy_joules measured/record.json), not a share of 3 J"
[ "$(wc -l <readings)" -lt 6 ] || fail "read $(wc -l <readings) times: by both ranks"
jq -e '.run.energy_joules | has("gpus") | not' measured/record.json >/dev/null || fail "energy of GPUs that are not used"
WIRESWEEP_POWERCAP=$PWD/nothing train 1 logistic.json unmeasured
jq -e '.run | has("energy_joules") | not' unmeasured/record.json >/dev/null || fail "energy though nothing measures it"

[ -n "${WIRESWEEP_EMULATED:-}" ] && command -v cc >/dev/null || { echo "no simulated GPUs here, or no compiler"; exit 0; }
cat >nvml.c <<'END'
static unsigned long long devices[4]; /* the k-th uses k + 1 joules between two questions */
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { return *count = 4, 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { return index < 4 ? *device = &devices[index], 0 : 6; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) { return (void)uuid, (void)device, 6; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules)
{
    unsigned long long *own = device;
    return *millijoules = *own += 1000 * (own - devices + 1), 0;
}
END
cc -shared -fPIC -o libnvidia-ml.so.1 nvml.c
export LD_LIBRARY_PATH=$PWD${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
WIRESWEEP="$WIRESWEEP_EMULATED"
few="-q --device cuda --set train.steps=1 --set model.width=8 --set model.time_features=8 --set train.batch=32"
train 2 cfm.json seen $few
mpirun -q -n 1 env CUDA_VISIBLE_DEVICES=2 "$WIRESWEEP" train cfm.json -o alone $few : \
    -n 1 env CUDA_VISIBLE_DEVICES=3 "$WIRESWEEP" train cfm.json -o alone $few >/dev/null
[ "$(jq -c .run.energy_joules.gpus seen/record.json alone/record.json | tr '\n' ' ')" = "3 7 " ] ||
    fail "energy of two GPUs: $(jq -c .run.energy_joules seen/record.json alone/record.json)"
