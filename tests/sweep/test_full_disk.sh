#!/bin/bash
# A sweep whose disk becomes full, or read-only: one line says so, nothing is lost, and when there is room again it goes on to the
# tables of an undisturbed sweep. On a small file system of its own, which only this script's processes see.
# ctest: labels=cli timeout=120
set -euo pipefail
if [ "${1:-}" != inside ]; then
    unshare -m true 2>/dev/null && exec unshare -m bash "$0" inside
    unshare -rm true 2>/dev/null && exec unshare -rm bash "$0" inside
    echo "skipped: no file system may be mounted here"
    exit 77
fi
folder=$(mktemp -d)
trap 'cd /; umount -l "$folder/disk" 2>/dev/null; rm -rf "$folder"' EXIT
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
says() { # says TEXT: it is said in one line, with at most a hint
    grep -q "$1" stderr || fail "\"$1\" is not said: $(cat stderr)"
    [ "$(grep -c . stderr)" -le 2 ] || fail "too many words: $(cat stderr)"
}

"$WIRESWEEP_TOOLS/make_capture" --flows 200 --seed 1 -o synthetic.pcap --labels labels.csv >/dev/null
"$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o synthetic.h5 synthetic.pcap
cat >sweep.json <<'END'
{ "base": { "store": "synthetic.h5", "task": "anomaly", "protocol": "random", "label": "family", "normal": ["benign"],
    "model": { "kind": "flow_cfm", "width": 16, "blocks": 1, "solver_steps": 2, "ot_group": 32 },
    "train": { "steps": 8, "batch": 32, "gradient_shards": 4, "warmup": 1 }, "evaluate": { "bootstrap": 20 } },
  "seeds": 4 }
END
"$WIRESWEEP" sweep -q sweep.json -o calm >/dev/null
size=$(du -sk calm | cut -f1)

mkdir disk
mount -t tmpfs -o "size=$((size / 2))k" none disk || { echo "skipped: no tmpfs"; exit 77; }
ends_with 1 "$WIRESWEEP" sweep -q sweep.json -o disk/sweep
says "No space left\|no space left"
grep -q '"status": "failed"' disk/sweep/trials/*/record.json 2>/dev/null && fail "a full disk made a trial fail"
done=$(ls disk/sweep/trials | wc -l)
[ "$done" -ge 1 ] && [ "$done" -lt 4 ] || fail "$done trials were finished, which tests little"
ends_with 1 "$WIRESWEEP" sweep -q sweep.json -o disk/sweep # still full
[ "$(ls disk/sweep/trials | wc -l)" = "$done" ] || fail "what was finished is gone"

mount -o "remount,ro,size=$((size * 4))k" disk
ends_with 1 "$WIRESWEEP" sweep -q sweep.json -o disk/sweep
says "Read-only file system"
ends_with 0 "$WIRESWEEP" status disk/sweep
grep -q "4 planned: $done done, 0 failed" stdout || fail "status: $(cat stdout)"

mount -o remount,rw disk
ends_with 0 "$WIRESWEEP" sweep -q sweep.json -o disk/sweep
for table in table.md table.csv trials.csv; do
    cmp "calm/tables/$table" "disk/sweep/tables/$table" || fail "$table tells that the disk was full"
done
echo passed
