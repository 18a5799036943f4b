#!/bin/bash
# Sweeps on a real Slurm of four nodes: as a chain, as an array, warned that the time is up, with a lost node, cancelled and submitted
# again, with trials of several ranks. Afterwards every planned trial has one record, and the tables are those of a sweep that nothing
# happened to.
# ctest: labels=cli timeout=300
set -uo pipefail
. "$WIRESWEEP_SOURCE/tests/slurm/cluster.sh"
folder=$(mktemp -d /tmp/ws-slurm.XXXXXX) # a short name: sockets
trap 'cluster_down; rm -rf "$folder"' EXIT
trap 'exit 1' TERM INT
chmod 755 "$folder"
cluster_gpus=2
cluster_up "$folder/c" 4 2
mkdir "$folder/it's work"
cd "$folder/it's work" || exit 1
. "$WIRESWEEP_SOURCE/tests/slurm/sweeps.sh"

# extraction by four ranks on two nodes, then the sweep by a supervisor on each of them, then the table
submit $extract -o again.h5 synthetic.pcap --then sweep sweep.json -o chain --then table chain -o chain.md
"$WIRESWEEP" status chain | grep -q "^job ${jobs[2]} (table-1).*: pending (Dependency)" || fail "$("$WIRESWEEP" status chain)"
finish "${jobs[@]}"
[ "$("$WIRESWEEP" inspect --hash again.h5)" = "$("$WIRESWEEP" inspect --hash synthetic.h5)" ] || fail "the store is another one"
same_as_calm chain
cmp chain.md calm/tables/table.md || fail "the chain's table"
"$WIRESWEEP" status chain | grep -q "^job ${jobs[1]} (sweep-1).*: completed; ended with status 0" || fail "$("$WIRESWEEP" status chain)"
echo "chain"

# an array of six in pieces, since this Slurm takes four at most
submit --job nodes=1 --array 6 sweep sweep.json -o array
[ "$(tr ':' '\n' <<<"${jobs[0]}" | wc -l)" = 2 ] || fail "not two pieces: ${jobs[0]}"
mapfile -t jobs < <(tr ':' '\n' <<<"${jobs[0]}")
finish "${jobs[@]}"
same_as_calm array
[ "$(ls array/jobs/*.status | wc -l)" = 6 ] || fail "not six tasks: $(ls array/jobs)"
echo "array"

# warned that its time is up, as by --signal: checkpoints, status 75, queued again; what waits for its end waits on
submit --job nodes=1 sweep sweep.json --workers 1 -o warned --then table warned -o warned.md
await 600 begun warned || fail "does not begin"
unfinished warned
scancel --batch --signal=USR1 "${jobs[0]}"
await 600 is_queued_again "${jobs[0]}" || fail "not queued again: $(squeue -h -t all -j "${jobs[0]}")"
grep -q "time is nearly up" warned/jobs/sweep-1.*.log && grep -q "status 75" warned/jobs/sweep-1.*.log || fail "no word of it"
unfinished warned
[ "$(job_state "${jobs[1]}")" = PENDING ] || fail "the table did not wait: $(job_state "${jobs[1]}")"
queue_soon "${jobs[0]}"
finish "${jobs[@]}"
grep -q "restart 1" warned/jobs/sweep-1.*.log || fail "not the same job"
same_as_calm warned
cmp warned.md calm/tables/table.md || fail "the table after the requeue"
echo "warned"

# a node that is lost, not the one with the script: the other one finishes
submit sweep sweep.json --workers 1 --lease 3 -o lost
await 600 begun lost || fail "does not begin"
unfinished lost
nodes=$(scontrol show hostnames "$(squeue -h -j "${jobs[0]}" -o %N)")
scontrol update NodeName="$(tail -n 1 <<<"$nodes")" State=DOWN Reason=test
finish "${jobs[@]}"
same_as_calm lost
scontrol update NodeName="$(tail -n 1 <<<"$nodes")" State=RESUME
echo "node lost"

# the node with the script: Slurm itself queues the job again
submit --job nodes=1 sweep sweep.json --workers 1 --lease 3 -o moved
await 600 begun moved || fail "does not begin"
unfinished moved
node=$(squeue -h -j "${jobs[0]}" -o %N)
scontrol update NodeName="$node" State=DOWN Reason=test
queue_soon "${jobs[0]}"
finish "${jobs[@]}"
same_as_calm moved
scontrol update NodeName="$node" State=RESUME
echo "script's node lost"

# cancelled, and submitted again by the same command
submit sweep sweep.json --workers 1 -o cancelled
await 600 begun cancelled || fail "does not begin"
unfinished cancelled
scancel "${jobs[0]}"
await 600 job_over "${jobs[0]}" || fail "does not end"
[ "$(job_state "${jobs[0]}")" = CANCELLED ] || fail "cancelled, but $(job_state "${jobs[0]}")"
unfinished cancelled
submit sweep sweep.json --workers 1 -o cancelled
finish "${jobs[@]}"
same_as_calm cancelled
echo "cancelled"

# trials of two ranks, each a step, two at once, with a GPU for each rank
submit --job gpus_per_node=2 sweep sweep.json --ranks-per-trial 2 -o ranks
finish "${jobs[@]}"
same_as_calm ranks
grep -q -- "--devices-per-trial 2" ranks/jobs/sweep-1.sbatch || fail "no GPUs for the ranks"
cat ranks/trials/*/log.txt | grep "step creation" && fail "steps waited for one another"
echo "ranks"

# what waits for a store that could not be made leaves the queue
submit extract -q -o never.h5 nowhere.pcap --then sweep sweep.json -o never
await 600 job_over "${jobs[0]}" && await 600 job_over "${jobs[1]}" || fail "the chain does not end"
[ "$(job_state "${jobs[0]}") $(job_state "${jobs[1]}")" = "FAILED CANCELLED" ] || fail "$(squeue -t all)"
"$WIRESWEEP" status never | grep -q "^job ${jobs[0]} (extract-1).*: failed; ended with status 2" || fail "$("$WIRESWEEP" status never)"
echo passed
