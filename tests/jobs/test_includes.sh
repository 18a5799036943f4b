#!/bin/bash
# Reads the #include lines and keeps the arrows between rooms one-way, as the house plan draws them.
# ctest: timeout=60
# A room may include the faces (ROOM/ROOM.h) of the rooms in its line; files inside a room include each other freely.
set -euo pipefail
cd "$WIRESWEEP_SOURCE"

rooms="
core:
cluster: core
storage: core cluster
capture: core
flow: core capture
dataset: core cluster storage capture flow
engine: core kernels
models: core cluster engine kernels
evaluate: core
train: core cluster storage capture flow dataset engine models evaluate
batch: core cluster storage
sweep: core cluster storage train evaluate batch
report: core storage evaluate
online: core cluster storage capture flow dataset engine models evaluate train
kernels: core
jobs: core cluster storage capture flow dataset engine models evaluate train batch sweep report online
"
# Headers of libraries, and the only rooms that may know them.
libraries="
mpi.h: cluster storage dataset
hdf5.h: storage dataset jobs
pcap/pcap.h: capture dataset jobs
cuda_runtime.h: kernels cluster engine jobs
nccl.h: kernels cluster jobs
"

check() { # reads "FILE:LINE:#include ..." lines, prints what is wrong
    awk -v rooms="$rooms" -v libraries="$libraries" '
        function fill(text, table,    lines, n, i, words, k, m, name) {
            n = split(text, lines, "\n")
            for (i = 1; i <= n; i++) {
                m = split(lines[i], words, " ")
                if (m == 0) continue
                name = words[1]; sub(/:$/, "", name)
                table[name, name] = known[name] = 1
                for (k = 2; k <= m; k++) table[name, words[k]] = 1
            }
        }
        function wrong(why) { print file ":" line ": " included ": " why; bad = 1 }
        BEGIN { fill(rooms, allowed); for (room in known) is_room[room] = 1; fill(libraries, allowed) }
        {
            match($0, /^[^:]+:[0-9]+:/)
            split($0, place, ":"); file = place[1]; line = place[2]
            included = $0
            if (!match(included, /[<"][^>"]+[>"]/)) next
            included = substr(included, RSTART + 1, RLENGTH - 2)
            split(file, parts, "/"); room = parts[1] == "src" ? parts[2] : parts[1]
            if (!(room in is_room)) { wrong("the folder is no room of the house plan"); next }
            if (included in known && !(included in is_room)) {
                if (!((included, room) in allowed)) wrong("room " room " does not use this library itself")
                next
            }
            n = split(included, target, "/")
            if (n < 2 || !(target[1] in is_room) || target[1] == room) next
            if (!((room, target[1]) in allowed)) wrong("room " room " must not know room " target[1])
            else if (target[1] != "core" && target[1] != "kernels" && included != target[1] "/" target[1] ".h")
                wrong("outsiders include the face " target[1] "/" target[1] ".h only")
        }
        END { exit bad }'
}

# The check must be able to fail.
for line in 'src/core/a.c:1:#include "flow/flow.h"' 'src/flow/a.c:1:#include "capture/decode.h"' 'src/evaluate/a.c:2:#include <mpi.h>' \
    'src/flow/a.c:9:#include "dataset/dataset.h"' 'kernels/cpu/a.c:3:#include "engine/engine.h"' 'src/attic/a.c:1:#include "core/core.h"'; do
    if printf '%s\n' "$line" | check >/dev/null; then
        echo "the check lets pass: $line"
        exit 1
    fi
done
printf '%s\n' 'src/flow/a.c:1:#include "flow/sums.h"' 'src/flow/a.c:1:#include <math.h>' | check

lines=$(grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' --include='*.cu' --include='*.cuh' src kernels jobs)
[ "$(printf '%s\n' "$lines" | wc -l)" -gt 100 ] || { echo "too few include lines were found"; exit 1; }
printf '%s\n' "$lines" | check
