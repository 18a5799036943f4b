#!/bin/bash
# ctest: labels=cli timeout=300
# A disk without room: one line and a hint on every number of ranks, no store and no partial file. Needs the right to mount.
set -u
if [ -z "${WIRESWEEP_INSIDE:-}" ]; then
    unshare -m true 2>/dev/null || { echo "skipped: no right to mount a small file system"; exit 77; }
    WIRESWEEP_INSIDE=1 exec unshare -m bash "$0"
fi
work=$(mktemp -d) || exit 1
trap 'umount "$work/small" 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/small"
mount -t tmpfs -o size=4m tmpfs "$work/small" 2>/dev/null || { echo "skipped: no right to mount a small file system"; exit 77; }
"$WIRESWEEP_TOOLS/make_capture" --flows 4000 -o "$work/made.pcap" >/dev/null || exit 1
for ranks in 1 2 3; do
    timeout 100 mpirun -n $ranks "$WIRESWEEP" extract -q -o "$work/small/store.h5" "$work/made.pcap" >"$work/out" 2>"$work/err"
    status=$?
    [ $status = 1 ] || { echo "FAILED: $ranks ranks ended with $status"; cat "$work/err"; exit 1; }
    grep -q '^error: .*no room for .*store.h5.partial.*No space left on device' "$work/err" && grep -q '^hint: ' "$work/err" ||
        { echo "FAILED: $ranks ranks say"; cat "$work/err"; exit 1; }
    [ -z "$(ls "$work/small")" ] || { echo "FAILED: left behind:"; ls -l "$work/small"; exit 1; }
done
