# Sourced: an empty folder of its own, with a small labelled store (store.h5) and configurations for it.
set -Eeuo pipefail
trap 'echo "FAILED: line $LINENO of ${BASH_SOURCE[0]##*/}, status $?: $BASH_COMMAND" >&2' ERR
work=$(mktemp -d "$PWD/$(basename "$0" .sh).XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

"$WIRESWEEP_TOOLS/make_capture" --flows 500 --seed 7 -o synthetic.pcap --labels labels.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o store.h5 synthetic.pcap >/dev/null

cat >cfm.json <<'END'
{
  "store": "store.h5",
  "task": "anomaly",
  "label": "family",
  "normal": ["benign"],
  "model": { "kind": "flow_cfm", "width": 32, "blocks": 1, "ot_group": 64, "solver_steps": 2 },
  "train": { "steps": 50, "batch": 128, "gradient_shards": 8, "validate_every": 20 }
}
END
cat >logistic.json <<'END'
{ "store": "store.h5", "task": "classify", "label": "label", "model": { "kind": "logistic" } }
END

fail() { echo "FAILED: $*"; exit 1; }
# train RANKS CONFIG FOLDER ARGUMENT...
train() {
    local ranks=$1 config=$2 folder=$3
    shift 3
    mpirun -n "$ranks" "$WIRESWEEP" train "$config" -q -o "$folder" "$@" >/dev/null # which says why when a rank dies
}
# The part of a record that must be reproduced, byte for byte.
result_of() { sed -n '/^  "result": {/,/^  }/p' "$1/record.json"; }
parameter_hash() { sed -n 's/.*"parameter_hash": "\([0-9a-f]*\)".*/\1/p' "$1/record.json"; }
