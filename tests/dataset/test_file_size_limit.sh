#!/bin/bash
# A limit of file sizes (ulimit -f), of all ranks or of one: below what ranks would share as memory a store that fits is the same; one that
# does not fit is one line and a hint, and nothing is left.
# ctest: labels=mpi timeout=120
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# extract KILOBYTES LIMITED RANKS: LIMITED: the ranks that have the limit, a pattern
extract() {
    status=0
    mpirun -n "$3" bash -c 'case $OMPI_COMM_WORLD_RANK in $1) ulimit -f $2 ;; esac; exec "${@:3}"' rank "$2" "$1" \
        "$WIRESWEEP" extract -q -o store.h5 made.pcap >out 2>err || status=$?
}
"$WIRESWEEP_TOOLS/make_capture" --flows 20000 --snap-length 128 -o made.pcap >/dev/null
"$WIRESWEEP" extract -q -o store.h5 made.pcap
want=$("$WIRESWEEP" inspect --hash store.h5)
for case in "[0-3] 2" "[0-3] 4" "1 2" "0 3"; do
    rm store.h5
    # shellcheck disable=SC2086
    extract 30000 $case
    [ $status = 0 ] && [ "$("$WIRESWEEP" inspect --hash store.h5)" = "$want" ] || { echo "ranks $case: $status $(cat err)"; exit 1; }
done
rm store.h5
for case in "[0-2] 1" "[0-2] 2" "[0-2] 3" "1 2" "2 3"; do
    ranks=${case#* }
    # shellcheck disable=SC2086
    extract 10000 $case
    [ $status = 1 ] && [ "$(grep -c '^error: ' err)" = 1 ] && grep -q '^error: .*store.h5.partial.*File too large' err &&
        grep -q '^hint: .*ulimit -f' err || { echo "$ranks ranks end with $status: $(cat err)"; exit 1; }
    [ -z "$(ls | grep '^store')" ] || { echo "$ranks ranks left behind: $(ls)"; exit 1; }
done
