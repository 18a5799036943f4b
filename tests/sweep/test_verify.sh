#!/bin/bash
# verify: a finished sweep run again gives the same bits, on two ranks too; a record that was tampered with is named, whatever was
# changed in it; sweep --spot-check does the same by itself.
# ctest: labels=cli timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
ends_with() { # ends_with STATUS COMMAND...
    local expected=$1 status=0
    shift
    "$@" >stdout 2>stderr || status=$?
    [ $status = "$expected" ] || { cat stdout stderr >&2; fail "status $status, not $expected: $*"; }
}

"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o synthetic.h5 synthetic.pcap
cat >sweep.json <<'END'
{ "base": { "store": "synthetic.h5", "task": "anomaly", "protocol": "random", "label": "family", "normal": ["benign"],
    "model": { "kind": "flow_cfm", "width": 16, "blocks": 1, "solver_steps": 2, "ot_group": 32 },
    "train": { "steps": 8, "batch": 32, "gradient_shards": 4, "warmup": 1 }, "evaluate": { "bootstrap": 20 } },
  "seeds": 2, "baselines": true }
END
ends_with 0 "$WIRESWEEP" sweep sweep.json --workers 2 --spot-check 2 -o done
grep -q "spot check: [1-9][0-9]* trials give the same bits again" stderr || fail "no spot check: $(cat stderr)"

ends_with 0 "$WIRESWEEP" verify --workers 2 done
[ "$(grep -c "same bits" stdout)" = 4 ] || fail "four trials were expected: $(cat stdout)"
ends_with 0 "$WIRESWEEP" verify --ranks 2 --cell model.kind=flow_cfm,train.seed=1 done
[ "$(grep -c "same bits" stdout)" = 1 ] || fail "one trial was expected: $(cat stdout)"
ends_with 0 "$WIRESWEEP" verify --random 1 --json done
grep -q '"verdict": "same bits"' stdout || fail "no verdict: $(cat stdout)"
ends_with 2 "$WIRESWEEP" verify --cell model.kind done
ends_with 2 "$WIRESWEEP" verify --cell model.knd=flow_cfm done # nothing verified is not all verified
grep -q -- "--cell model.knd=flow_cfm: no finished trial is like this" stderr || fail "a selection of nothing: $(cat stderr)"
ls -d done/verify.* 2>/dev/null && fail "what was run again is left there"

network=$(basename "$(dirname "$(grep -l '"flow_cfm"' done/trials/*/record.json | head -n 1)")")
record=done/trials/$network/record.json
cp "$record" kept.json
tampered() { # tampered SED_COMMAND WHAT [0]: verify names the trial and what is wrong with it; 0: nothing is
    sed "$1" kept.json >"$record"
    cmp -s kept.json "$record" && fail "nothing was changed by $1"
    ends_with "${3:-1}" "$WIRESWEEP" verify --cell "id=$network" done
    grep -q "^$network $([ "${3:-1}" = 0 ] && echo "same bits" || echo different).*$2" stdout || fail "$2 is not named: $(cat stdout)"
    rm -rf done/verify.*
}
refused() { # refused WHY: by table, without a word of the numbers; status names it
    ends_with 1 "$WIRESWEEP" table done
    grep -q "trials/$network/record.json: $1" stderr && [ ! -s stdout ] || fail "a table of it: $(cat stdout stderr)"
    ends_with 0 "$WIRESWEEP" status done
    grep -q "^4 planned: 3 done, 0 failed, 0 running, 1 left" stdout && grep -q "^$network .*$2" stdout || fail "$(cat stdout)"
}
tampered 's/"auroc": [0-9][0-9.e-]*/"auroc": 0.99999/' "auroc: 0.99999 recorded"
refused "the result was changed after it was written" "the result in its record.json was changed"
tampered 's/"result_hash": "[0-9a-f]/"result_hash": "x/' "its result_hash is not that of its result"
refused "the result was changed after it was written" "the result in its record.json was changed"
tampered 's/^    "isa": "[a-z0-9]*"/    "isa": "another"/' "its result_hash is not that of its result"
tampered 's/"parameter_hash": "[0-9a-f]/"parameter_hash": "x/' "parameter_hash"
tampered 's/"steps": 8,/"steps": 9,/' "another config"
tampered 's/"split_hash": "[0-9a-f]/"split_hash": "x/' "another split_hash"
tampered "s/\"id\": \"$network\"/\"id\": \"0123456789abcdef\"/" "that of trial 0123456789abcdef"
refused "not a record of trial $network" "that of trial 0123456789abcdef"
jq 'del(.result)' kept.json >"$record"
refused "not a record of trial $network" "with a result"
# of a program that stated no hash: taken as it is, which the table says
sed '/"result_hash": /d' kept.json >"$record"
ends_with 0 "$WIRESWEEP" table done
grep -q "^- Records without a hash of their result, of an earlier program: 1;" stdout || fail "$(cat stdout)"
# run again when the sweep goes on
sed 's/"auroc": [0-9][0-9.e-]*/"auroc": 0.99999/' kept.json >"$record"
ends_with 0 "$WIRESWEEP" sweep sweep.json -o done
grep -q "trial $network is run again: the result in its record.json was changed" stderr && [ -d "done/trials/$network.broken-1" ] ||
    fail "not told of: $(cat stderr)"
cmp <(jq -S .result "$record") <(jq -S .result kept.json) || fail "not the same result again"
rm -r "done/trials/$network.broken-1"
# what an older program did not count is no difference; what it counted is compared
tampered '/"rows_thinned": \|"result_hash": /d' "" 0
tampered 's/"rows_thinned": 0/"rows_thinned": 1/' "counts.rows_thinned: 1 recorded"

# a sweep of a program that did not have an option yet: with its default the trial is the same one, and has the same name and cell
cp done/sweep.json kept_sweep.json
sed '/"ema": /d' kept_sweep.json >done/sweep.json
tampered '/"ema": \|"result_hash": /d' "" 0
cp kept_sweep.json done/sweep.json
tampered '/"ema": \|"result_hash": /d' "another config"
sed '/"ema": /d' kept_sweep.json >done/sweep.json
sed 's/"seeds": 2/"seeds": 3/' sweep.json >more.json
ends_with 0 "$WIRESWEEP" sweep more.json -o done
[ "$(jq '[.cells[] | select(.config.model.kind == "flow_cfm")] | length' done/sweep.json)" = 1 ] || fail "another seed is of another cell"
grep -q '"ema"' done/sweep.json && fail "a cell that was frozen has changed"

# what has not finished is named, and a folder that is none
mkdir half
cp -r done/sweep.json done/trials half/
rm -rf "half/trials/$network"
ends_with 3 "$WIRESWEEP" verify --workers 2 half
grep -q "^$network missing " stdout || fail "a trial that is not there is not named: $(cat stdout)"
grep -q "same bits" stdout || fail "what is there was not verified: $(cat stdout)"
ends_with 1 "$WIRESWEEP" verify nothing
grep -q "nothing/sweep.json: no such file: this is no sweep folder" stderr || fail "$(cat stderr)"
ends_with 2 "$WIRESWEEP" train "done/trials/$network/config.json" -o done/trials/mine
grep -q "lies among the trials of a sweep" stderr || fail "$(cat stderr)"
[ ! -e done/trials/mine ] || fail "a run among the trials of a sweep"

# a sweep.json that no sweep has written, by whatever reads it
mkdir emptied apart
echo '{}' >emptied/sweep.json
for command in "status emptied" "verify emptied" "sweep sweep.json -o emptied"; do
    ends_with 1 "$WIRESWEEP" $command
    grep -q "emptied/sweep.json: not what a sweep freezes" stderr || fail "$command: $(cat stderr)"
done

# a store that is not there is named by the path where it is looked for
echo '{ "base": { "store": "../nowhere/s.h5", "task": "classify", "model": { "kind": "logistic" } } }' >apart/lost.json
ends_with 2 "$WIRESWEEP" sweep apart/lost.json -o lost
grep -q "store: $(pwd -P)/apart/../nowhere/s.h5 does not exist" stderr || fail "the store of another folder: $(cat stderr)"

# where the store has moved
cp kept.json "$record"
mv synthetic.h5 elsewhere.h5
ends_with 3 "$WIRESWEEP" verify --cell "id=$network" done
rm -rf done/verify.*
ends_with 0 "$WIRESWEEP" verify --cell "id=$network" --store elsewhere.h5 done
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv --packets 4 -o other.h5 synthetic.pcap
ends_with 2 "$WIRESWEEP" verify --cell "id=$network" --store other.h5 done
grep -q "other.h5: its content is .*, and flow_cfm on synthetic, random, seed . was run on" stderr && [ ! -s stdout ] &&
    ! ls -d done/verify.* 2>/dev/null || fail "another store: $(cat stdout stderr)"
echo passed
