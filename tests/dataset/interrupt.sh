# Sourced: interrupts extractions at some checkpoint and lets them go on.
export OMPI_MCA_odls_base_sigkill_timeout=0
settings="--set round_bytes=30000 --set checkpoint_bytes=150000"

newest_checkpoint() {
    { ls store.h5.partial 2>/dev/null || true; } | sed -n 's/^checkpoint-0*//p' | sort -n | tail -1
}

# interrupt RANKS CHECKPOINTS SIGNAL ARGUMENT...: starts, waits for so many checkpoints more (or the end), signals one rank, waits
# for the end; its status is in $status. KILL takes down a rank, other signals go to mpirun.
interrupt() {
    local ranks=$1 wanted=$2 signal=$3 rank
    shift 3
    wanted=$((wanted + $(newest_checkpoint) + 0))
    rm -f pid.*
    mpirun -n "$ranks" bash -c 'echo $$ >pid.$OMPI_COMM_WORLD_RANK; exec "$@"' rank \
        "$WIRESWEEP" extract -q $settings -o store.h5 "$@" >output 2>messages &
    local launcher=$!
    until [ $(($(newest_checkpoint) + 0)) -ge $wanted ] || ! kill -0 $launcher 2>/dev/null; do sleep 0.01; done
    sleep 0.0$((RANDOM % 6))
    if [ "$signal" = KILL ]; then
        kill -KILL "$(cat pid.$((RANDOM % ranks)))" 2>/dev/null || true
    else
        kill -"$signal" $launcher 2>/dev/null || true
    fi
    status=0
    wait $launcher || status=$?
}

# finish RANKS ARGUMENT...: goes on to the end
finish() {
    local ranks=$1
    shift
    mpirun -n "$ranks" "$WIRESWEEP" extract -q $settings --resume -o store.h5 "$@" >output 2>messages || fail "not resumed: $(cat messages)"
}

fail() {
    echo "FAILED: $*"
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
