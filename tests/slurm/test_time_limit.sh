#!/bin/bash
# The warning that Slurm itself sends before a job's time limit, which it looks at twice a minute: the sweep writes its checkpoints, is
# queued again, and ends with the tables of one that nothing happened to.
# ctest: labels=cli,slow timeout=300
set -uo pipefail
. "$WIRESWEEP_SOURCE/tests/slurm/cluster.sh"
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
folder=$(mktemp -d /tmp/ws-slurm.XXXXXX) # a short name: sockets
trap 'cluster_down; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT
chmod 755 "$folder"
cluster_up "$folder/c" 1 2
mkdir "$folder/work"
cd "$folder/work" || exit 1
. "$WIRESWEEP_SOURCE/tests/slurm/sweeps.sh"

# at its first start the sweep stands still when a trial is done, until it is asked to stop
hold "$PWD/limited/trials/*/record.json" 3 "" signal
{
    echo '#!/bin/bash'
    printf '[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || exec'
    printf ' %q' "${held[@]}" "$WIRESWEEP" && echo ' "$@"'
    printf 'exec %q "$@"\n' "$WIRESWEEP"
} >held_program
chmod +x held_program
submit --job nodes=1 --job program="$PWD/held_program" --job time=00:02:00 --job warning=100 sweep sweep.json --workers 1 -o limited
await 600 begun limited || fail "does not begin"
await 1500 is_queued_again "${jobs[0]}" || fail "not queued again: $(squeue -h -t all -j "${jobs[0]}")"
unfinished limited
grep -q "time is nearly up" limited/jobs/sweep-1.*.log && grep -q "status 75" limited/jobs/sweep-1.*.log || fail "no word of it"
grep -q "DUE TO TIME LIMIT" limited/jobs/sweep-1.*.log && fail "ended by its limit, not by the warning"
queue_soon "${jobs[0]}"
finish "${jobs[@]}"
grep -q "restart 1" limited/jobs/sweep-1.*.log || fail "not the same job"
same_as_calm limited
echo passed
