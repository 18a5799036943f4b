#!/bin/bash
# ctest: labels=mpi timeout=180
# Models that read packets, from the store to the record: the same on two ranks; scored again from model.h5, which keeps the
# normalisation of packets, here and on another store; refused where the store does not hold what they read.
. "$(dirname "$0")/small_store.sh"
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 8 -o second.pcap --labels second.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels second.csv -o second.h5 second.pcap >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv --packets 4 -o few.h5 synthetic.pcap >/dev/null

cat >unified.json <<'END'
{
  "store": "store.h5",
  "task": "anomaly",
  "label": "family",
  "normal": ["benign"],
  "model": { "kind": "unified_cfm", "packets": 8, "width": 16, "blocks": 1, "heads": 2, "hidden": 32, "time_features": 8,
             "dropout": 0.1, "ot_group": 32, "solver_steps": 2, "flow_scope": "prefix" },
  "train": { "steps": 10, "batch": 32, "gradient_shards": 4, "validate_every": 5 },
  "evaluate": { "scores": ["terminal_norm", "terminal_flow", "terminal_packet", "flow_consistency", "packet_consistency"] }
}
END
sed 's/unified_cfm/packet_cfm/; s/, "flow_scope": "prefix"//; s/"terminal_flow", //; s/"flow_consistency", //' unified.json >packet.json

for config in unified packet; do
    train 1 $config.json $config.1
    train 2 $config.json $config.2 --set train.threads=2
    result_of $config.1 >expected
    result_of $config.2 | cmp - expected || fail "$config: two ranks give another result than one"
    "$WIRESWEEP" evaluate $config.1 -q --json >again.json
    diff <(grep -o '"score_hash": [^,]*' again.json) <(grep -o '"score_hash": [^,]*' $config.1/record.json) ||
        fail "$config: other scores from model.h5 than after training"
    # the test rows of both stores are scored with what the first store's training rows gave
    "$WIRESWEEP" evaluate $config.1 -q --json --store second.h5 --protocol cross_store >other.json
    jq -e '.counts.test == 300 and ([.scores[] | .thresholds[]?] | length) > 0' other.json >/dev/null || fail "$(cat other.json)"
    [ "$(h5dump -d /normalisation/packets/mean $config.1/model.h5 | grep -c '([0-9])')" -ge 1 ] || fail "no normalisation"
done

refused() { # MESSAGE ARGUMENT...
    local message=$1 status=0
    shift
    "$WIRESWEEP" train unified.json -q -o never "$@" >/dev/null 2>message.txt || status=$?
    [ $status = 2 ] && grep -qF "$message" message.txt || fail "status $status, not \"$message\": $(cat message.txt)"
}
refused "few.h5 stores 4): the store holds fewer packets of a flow; extract with more --packets" --set store=few.h5
refused "model.heads: 3 does not divide model.width = 16" --set model.heads=3
refused "model.ot_group: 20 does not divide train.batch = 32" --set model.ot_group=20
refused 'model.lambda: 0 leaves nothing to predict hidden tokens with' --set model.lambda=0
refused 'model.coupling: "entropic" needs sigma > 0' --set model.coupling=entropic --set model.sigma=0
[ ! -e never/record.json ]
