# Sourced: the content hash of every family's store, read in every way that must not matter. Expects a folder of its own as
# current folder.

for program in python3 gzip zstd xz bzip2; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done

# make_inputs ROWS FLOWS: plain/FAMILY/..., packed/FAMILY/... with the same files compressed, and plain/list
make_inputs() {
    local make="$WIRESWEEP_TOOLS/make_capture" odd="$WIRESWEEP_SOURCE/tests/reference/make_odd.py"
    "$make" --flows "$2" --seed 1 -o one.pcap >/dev/null
    "$make" --flows "$2" --seed 2 -o two.pcap >/dev/null
    (mkdir plain && cd plain && mkdir generic imitating damaged &&
        python3 -B "$WIRESWEEP_SOURCE/tests/reference/make_families.py" . "$1" ../one.pcap ../two.pcap)
    (cd plain/generic && "$make" --flows "$2" --seed 3 --format pcapng --swapped --link sll -o a.pcapng >/dev/null &&
        "$make" --flows "$2" --seed 4 --nanoseconds --swapped --link raw -o b.pcap >/dev/null &&
        python3 -B "$odd" --seed 5 --packets $(($2 * 10)) -o c.pcap && python3 -B "$odd" --seed 6 --packets $(($2 * 10)) --format pcapng -o d.pcapng)
    # Payloads that are valid record headers and blocks, chained over whole packets.
    (cd plain/imitating && "$make" --flows "$2" --seed 7 --adversarial 1400 -o a.pcap >/dev/null &&
        "$make" --flows $(($2 / 4)) --seed 8 --adversarial 60000 -o b.pcap >/dev/null &&
        "$make" --flows $(($2 / 2)) --seed 9 --adversarial 1400 --format pcapng -o c.pcapng >/dev/null)
    for position in 15 31 50; do # sixtieths
        head -c $((position * 70)) /dev/zero | tr '\0' '\377' |
            dd of=one.pcap bs=1 seek=$(($(stat -c %s one.pcap) * position / 60)) conv=notrunc status=none
    done
    mv one.pcap plain/damaged/a.pcap
    head -c $(($(stat -c %s two.pcap) * 2 / 3 + 5)) two.pcap >plain/damaged/b.pcap
    printf '%s --dataset generic\n' generic imitating damaged >>plain/list
    cp -r plain packed
    local number=0 tools=("gzip -1" "zstd -q -1 --rm" "xz -0" "bzip2 -1")
    find packed -type f ! -name list ! -name '*.json' ! -name '*.out' | LC_ALL=C sort >files
    while read -r file; do
        ${tools[$((number++ % 4))]} "$file"
    done <files
}

# hash_of RANKS ROUND_BYTES FORM FAMILY OPTION...: FORM plain or packed; the files by their names, last ones first
hash_of() {
    local ranks=$1 round=$2 form=$3 name=$4 launch=
    shift 4
    [ "$ranks" = 1 ] || launch="mpirun -n $ranks"
    rm -f "$name.h5"
    (cd "$form" && find "$name" -type f ! -name '*.out' | LC_ALL=C sort -r >../inputs &&
        $launch "$WIRESWEEP" extract -q --set "round_bytes=$round" "$@" -o "../$name.h5" $(cat ../inputs) 2>../messages) || {
        cat messages >&2
        return 1
    }
    "$WIRESWEEP" inspect --hash "$name.h5"
}

# same_for_every_family "RANKS:ROUND_BYTES:FORM ...": one rank, one round, the plain folder is the reference
same_for_every_family() {
    local families=0 reference hash way name options
    while read -r -u 3 name options; do
        # shellcheck disable=SC2086
        (cd plain && "$WIRESWEEP" extract -q --set round_bytes=10000000000 $options -o "../$name.h5" "$name" 2>../messages) ||
            { cat messages; exit 1; }
        reference=$("$WIRESWEEP" inspect --hash "$name.h5")
        "$WIRESWEEP" inspect "$name.h5" >about
        grep -q '^  flows  *[1-9]' about || { echo "$name: no flows"; exit 1; }
        for way in $1; do
            IFS=: read -r ranks round form <<<"$way"
            # shellcheck disable=SC2086
            hash=$(hash_of "$ranks" "$round" "$form" "$name" $options) || exit 1
            [ "$hash" = "$reference" ] || { echo "$name: $way: $hash, one rank $reference"; exit 1; }
        done
        families=$((families + 1))
    done 3<plain/list
    echo "$families families, each the same $(wc -w <<<"$1") ways"
    [ $families -ge 24 ]
}
