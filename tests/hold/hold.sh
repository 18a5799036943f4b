# Sourced: programs that are held at a chosen moment (hold.c), so that what a test does to them meets them there on any machine.
# The test decides the moment before it starts the program; nothing here depends on how long anything takes.

# hold AFTER CALLS LAST: makes ${held[@]}, to be put before a command: it is held once a path matches AFTER ("" for its start) and
# CALLS more of its calls changed a file, at the latest before a file is renamed to a name that ends in LAST ("" for none).
# With a fourth argument, "signal", a signal that asks it to stop lets it go on.
hold() {
    hold_base="$PWD/held"
    rm -f "$hold_base.reached" "$hold_base.go"
    held=(env "LD_PRELOAD=$WIRESWEEP_BUILD/bin/libhold.so" "ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
        "WIRESWEEP_HOLD=$hold_base" "WIRESWEEP_HOLD_AFTER=$1" "WIRESWEEP_HOLD_CALLS=$2" "WIRESWEEP_HOLD_LAST=$3"
        "WIRESWEEP_HOLD_SIGNAL=${4:-}")
}

# await_hold PROCESS: until it is held; 1 where PROCESS, which runs the command, ended before
await_hold() {
    until [ -e "$hold_base.reached" ]; do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.01
    done
    [ -e "$hold_base.reached" ]
}

# let_go: the command goes on
let_go() {
    : >"$hold_base.go"
}

# await_death PROCESS...: until none of them runs any more, which a launcher of theirs does not always wait for
await_death() {
    local process
    for process in "$@"; do
        while grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$process/status"; do sleep 0.01; done
    done
}
