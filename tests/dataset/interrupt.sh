# Sourced: interrupts extractions behind some checkpoint and lets them go on.
. "$WIRESWEEP_SOURCE/tests/hold/hold.sh"
export OMPI_MCA_odls_base_sigkill_timeout=0
settings="--set round_bytes=30000 --set checkpoint_bytes=150000"

newest_checkpoint() {
    { ls store.h5.partial 2>/dev/null || true; } | sed -n 's/^checkpoint-0*//p' | sort -n | tail -1
}

# interrupt RANKS CHECKPOINTS ARGUMENT...: starts, and kills one of the ranks in some write behind so many checkpoints more, or
# before the store gets its name where that comes first; the status of the run is in $status, where it was killed in $where.
interrupt() {
    local ranks=$1 checkpoint=$(($(newest_checkpoint) + $2)) calls=$((RANDOM % 60)) victim=$((RANDOM % $1))
    shift 2
    hold "store.h5.partial/checkpoint-$(printf %04d $checkpoint)/manifest.json" $calls store.h5
    rm -f pid.*
    mpirun -n "$ranks" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$@"' rank \
        "${held[@]}" "$WIRESWEEP" extract -q $settings -o store.h5 "$@" >output 2>messages &
    local launcher=$!
    where="rank $victim of $ranks, $calls calls behind checkpoint $checkpoint"
    await_hold $launcher || fail "$where: the run ended before: $(cat messages)"
    kill -KILL "$(cat pid.$victim)"
    status=0
    wait $launcher || status=$?
    await_death $(cat pid.*)
    [ $status -ne 0 ] || fail "the killed run ended well"
}

# finish RANKS ARGUMENT...: goes on to the end
finish() {
    local ranks=$1
    shift
    mpirun -n "$ranks" "$WIRESWEEP" extract -q $settings --resume -o store.h5 "$@" >output 2>messages || fail "not resumed: $(cat messages)"
}

fail() {
    echo "FAILED: $*${where:+ (last killed: $where)}"
    exit 1
}

# same NAME: the store is the one that was made without interruption, and nothing else is left
same() {
    [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$want" ] || fail "$1: another store"
    [ ! -e store.h5.partial ] || fail "$1: left behind: $(find store.h5.partial) $(cat messages)"
    rm store.h5
}

# whole ARGUMENT...: $want, without interruption or segments
whole() {
    rm -rf store.h5 store.h5.partial
    "$WIRESWEEP" extract -q -o store.h5 "$@"
    want=$("$WIRESWEEP" inspect --hash store.h5)
    "$WIRESWEEP" inspect --json store.h5 | grep -v '"path"\|"store"\|boundary_repairs' >whole.json
    rm store.h5
}
