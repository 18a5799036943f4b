# Sourced: extracts the same inputs in several ways and compares the content hashes.

# extract_hash RANKS ROUND_BYTES ARGUMENT...: the content hash, made again from what the store holds
extract_hash() {
    local ranks=$1 round=$2
    shift 2
    rm -f compared.h5
    mpirun -n "$ranks" "$WIRESWEEP" extract -q --set "round_bytes=$round" -o compared.h5 "$@"
    "$WIRESWEEP" inspect --hash compared.h5
}

# same_everywhere NAME "RANKS:ROUND_BYTES ..." ARGUMENT...: one rank with everything in one round is the reference
same_everywhere() {
    local name=$1 ways=$2 reference hash
    shift 2
    reference=$(extract_hash 1 1000000000 "$@")
    [ ${#reference} -eq 64 ] || { echo "$name: no content hash: $reference"; exit 1; }
    for way in $ways; do
        hash=$(extract_hash "${way%:*}" "${way#*:}" "$@")
        [ "$hash" = "$reference" ] || { echo "$name: $way: $hash, one rank $reference"; exit 1; }
    done
    echo "$name: $reference"
}
