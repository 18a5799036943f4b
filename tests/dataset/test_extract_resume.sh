#!/bin/bash
# An extraction that is killed, again and again and on any number of ranks, goes on from its last checkpoint to the store that
# it would have made: captures of all kinds, with bounded memory, reservoirs, windows, labels, packets in the order of their times.
# ctest: labels=mpi timeout=300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/interrupt.sh"
make="$WIRESWEEP_TOOLS/make_capture"

mkdir inputs
"$make" --flows 100 --seed 1 --labels labels.csv -o inputs/a.pcap >/dev/null
"$make" --flows 60 --seed 2 --format pcapng -o b.pcapng >/dev/null
"$make" --flows 40 --seed 3 --format pcapng --swapped --link raw -o c.pcapng >/dev/null
cat b.pcapng c.pcapng b.pcapng >inputs/b.pcapng # blocks in the middle that packets behind them need
"$make" --flows 80 --seed 4 -o inputs/c.pcap >/dev/null
gzip inputs/c.pcap
"$make" --flows 40 --seed 5 --format pcapng -o inputs/d.pcapng >/dev/null
gzip inputs/d.pcapng
"$make" --flows 100 --seed 6 -o inputs/e.pcap >/dev/null
head -c 70000 /dev/zero | tr '\0' '\377' | dd of=inputs/e.pcap bs=1 seek=200000 conv=notrunc status=none # damage

# kill_often NAME TIMES ARGUMENT...: at some moment each, the first time behind the first checkpoint
kill_often() {
    local name=$1 times=$2 more=1
    shift 2
    [ -z "${WIRESWEEP_FEW:-}" ] || times=1
    whole "$@"
    for ((kill = 0; kill < times; kill++)); do
        interrupt $((RANDOM % 3 + 1)) $more "$@" --resume
        [ ! -e store.h5 ] || fail "$name: the killed run left a store"
        more=$((RANDOM % 2 + 1))
    done
    finish $((RANDOM % 3 + 1)) "$@"
    "$WIRESWEEP" inspect --json store.h5 | grep -v '"path"\|"store"\|boundary_repairs' >resumed.json
    cmp whole.json resumed.json || fail "$name: other counters: $(diff whole.json resumed.json | head -5)"
    same "$name"
}

kill_often plain 2 inputs
kill_often labels 2 --dataset synthetic --labels labels.csv --endpoints plain inputs
kill_often reservoir 2 --set reservoir=60 --set reservoir_kind=balanced inputs
kill_often windows 2 --set window=5 inputs
kill_often mawi 2 --dataset mawi --set window_rule=alone inputs
kill_often join 2 --join --set window=5 inputs
kill_often memory 2 --memory 1M inputs
"$make" --flows 300 --seed 7 --comments --format pcapng -o samples.pcapng >/dev/null
kill_often samples 2 --dataset pcapml samples.pcapng
kill_often 'samples in files' 2 --dataset pcapml --memory 1M samples.pcapng
kill_often bytes 2 --bytes header:40,payload:32,packets:3 --filter 'tcp or udp port 53' inputs

# A run on one rank, in one piece of each, comes to the same as well.
settings="--set checkpoint_bytes=400000"
whole inputs
"$WIRESWEEP" extract -q $settings -o store.h5 inputs
same segments
