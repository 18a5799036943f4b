#!/usr/bin/env bash
# ctest: labels=jobs timeout=60
# `list` shows every registry, for people and machines; `doctor` reports on build and machine, with or without a GPU.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAIL: $*"; exit 1; }

# every start of the program costs some tenths of a second: no call is made twice
for name in models operators features; do
    text=$("$WIRESWEEP" list "$name")
    [ -n "$text" ] || fail "list $name is empty"
    printf '%s\n' "$text" >"list_$name.txt"
    "$WIRESWEEP" list "$name" --json >list.json
    [ "$(jq -r '.[].name' list.json)" = "$(sed 's/  .*//' "list_$name.txt")" ] || fail "list $name --json differs from list $name"
    jq -e 'all(.help != "" and .help != null)' list.json >/dev/null || fail "list $name --json lacks a help text"
done
for name in datasets metrics protocols jobs; do
    [ -n "$("$WIRESWEEP" list "$name")" ] || fail "list $name is empty"
done
grep -q '^flow_cfm .*\[anomaly; scores terminal_norm two_sided nll velocity reconstruction\]$' list_models.txt ||
    fail "flow_cfm is not listed with its scores"
grep -q '^logistic .*\[classify, deterministic\]$' list_models.txt || fail "logistic is not listed"
[ "$(grep -c 'flow20' list_features.txt)" = 20 ] || fail "not 20 columns in flow20"
# every source file of the registry is in the list
for file in "$WIRESWEEP_SOURCE"/src/engine/op_*.c; do
    operator=$(basename "$file" .c)
    grep -q "^${operator#op_} " list_operators.txt || fail "$operator is not listed"
done

status=0
said=$("$WIRESWEEP" list modles 2>&1) || status=$?
[ $status = 2 ] || fail "an unknown list ends with status $status"
grep -q 'did you mean wiresweep list models' <<<"$said" || fail "no suggestion: $said"

"$WIRESWEEP" doctor | grep -q '^  HDF5 .*parallel' || fail "doctor does not name HDF5"
"$WIRESWEEP" doctor --json | jq -e '
    all((.build | .["MPI", "HDF5", "libpcap", "cJSON", "OpenBLAS", "zlib"]),
        (.machine | .["CPU", "cores", "memory", "/dev/shm", "open files", "instruction set level"]),
        (.gpu | .["CUDA Toolkit", "NCCL", "driver"]), (.gpu | .devices // .["device 0"]); . != null and . != "")
    and (.missing | all(.what != "" and .remedy != ""))' >/dev/null || fail "doctor --json lacks something"
if [ -n "${WIRESWEEP_EMULATED:-}" ]; then # four simulated GPUs, linked in pairs
    CUDA_VISIBLE_DEVICES=0,1,3 "$WIRESWEEP_EMULATED" doctor --json | jq -e '
        (.gpu | (.["device 0 reaches"] == "1") and (.["device 1 reaches"] == "0") and (.["device 2 reaches"] | startswith("no other"))
            and .["CUDA_VISIBLE_DEVICES"] == "0,1,3" and .driver == "CUDA 13.0" and (.NCCL | test("^[0-9.]+$"))
            and (.used | contains("mpirun -n 3 uses all")) and (has("device 3") | not))
        and (.missing | all(.what | test("GPU|CUDA|NCCL|driver") | not))' >/dev/null || fail "doctor does not show the simulated GPUs"
    WIRESWEEP_EMULATED_DEVICES=0 "$WIRESWEEP_EMULATED" doctor --json | jq -e '
        .gpu.used == "the CPU" and (.missing | any(.what | startswith("a GPU")))' >/dev/null || fail "doctor does not say that there is no GPU"
fi
echo "list and doctor: all as expected"
