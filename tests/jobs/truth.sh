# Sourced: makes a capture, extracts it, exports the store and compares every flow with the generator's truth.

# check_truth RANKS GENERATOR-OPTION...: in the current folder
check_truth() {
    local ranks=$1 format=pcap
    shift
    case " $* " in *" --format pcapng "*) format=pcapng ;; esac
    rm -f capture.* truth.csv labels.csv store.h5 store.csv
    "$WIRESWEEP_TOOLS/make_capture" "$@" -o "capture.$format" --truth truth.csv --labels labels.csv >counts
    mpirun -n "$ranks" "$WIRESWEEP" extract -q --dataset synthetic --labels labels.csv -o store.h5 "capture.$format"
    "$WIRESWEEP" export -q store.h5 --format csv -o store.csv
    "$WIRESWEEP_TOOLS/compare_truth" truth.csv store.csv
}
