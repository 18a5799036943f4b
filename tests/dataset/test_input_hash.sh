#!/bin/bash
# The SHA-256 of inputs in provenance: what sha256sum says, or of large ones or with input_hash=tree what the documented pipeline says; on any
# number of ranks and cores, for captures smaller and larger than a block, whatever the stripes, and without any effect on the content.
# ctest: labels=mpi timeout=120
set -euo pipefail
command -v python3 >/dev/null || { echo "SKIP: python3 is absent"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAIL: $*"; exit 1; }
"$WIRESWEEP_TOOLS/make_capture" --flows 500 --seed 1 -o small.pcap >/dev/null
# Many blocks and a bit, of records that are no IP packets.
python3 - <<'P'
import struct
record = struct.pack('<IIII', 1700000000, 0, 60000, 60000) + bytes(12) + b'\x88\xcc' + bytes(60000 - 14)
with open('large.pcap', 'wb') as out:
    out.write(open('small.pcap', 'rb').read())
    for _ in range((9 << 20) // len(record) + 1):
        out.write(record)
with open('huge.pcap', 'wb') as out: # 256 MiB and a bit
    out.write(open('small.pcap', 'rb').read())
    for _ in range((1 << 28) // len(record) + 1):
        out.write(record)
for name, size in ('first.pcap', 16950000), ('second.pcap', 5000000): # see the end
    with open(name, 'wb') as out:
        out.write(open('small.pcap', 'rb').read())
        while out.tell() < size:
            out.write(record)
P
tree() {
    python3 - "$1" <<'P'
import hashlib, sys
def over(data, sizes):
    if not sizes:
        return hashlib.sha256(data).digest()
    parts = (data[at:at + sizes[0]] for at in range(0, len(data), sizes[0]))
    return hashlib.sha256(b''.join(over(part, sizes[1:]) for part in parts)).digest()
print(over(open(sys.argv[1], 'rb').read(), [1 << 20, 1 << 16]).hex())
P
}
hashes() { "$WIRESWEEP" inspect --json "$1" | jq -r '.inputs[].sha256' | tr '\n' ' '; }
file_form="$(sha256sum large.pcap | cut -c1-64) $(sha256sum small.pcap | cut -c1-64) "
tree_form="$(tree large.pcap) $(tree small.pcap) "
mpirun -n 2 "$WIRESWEEP" extract -q -o auto.h5 huge.pcap small.pcap
[ "$(hashes auto.h5)" = "$(tree huge.pcap) $(sha256sum small.pcap | cut -c1-64) " ] || fail "by size: $(hashes auto.h5)"
for ranks in 1 3; do
    mpirun -n $ranks "$WIRESWEEP" extract -q --set input_hash=file -o file.h5 large.pcap small.pcap
    mpirun -n $ranks "$WIRESWEEP" extract -q --set input_hash=tree -o tree.h5 large.pcap small.pcap
    [ "$(hashes file.h5)" = "$file_form" ] || fail "$ranks ranks, file: $(hashes file.h5), not $file_form"
    [ "$(hashes tree.h5)" = "$tree_form" ] || fail "$ranks ranks, tree: $(hashes tree.h5), not $tree_form"
    [ "$("$WIRESWEEP" inspect --hash file.h5)" = "$("$WIRESWEEP" inspect --hash tree.h5)" ] || fail "the content differs"
    [ "$("$WIRESWEEP" inspect --json tree.h5 | jq '[.inputs[] | .sha256_block, .sha256_leaf] == [1048576, 65536, 1048576, 65536]')" = true ] ||
        fail "the store does not say that its inputs were hashed in blocks"
    [ "$("$WIRESWEEP" inspect --json file.h5 | jq '[.inputs[].sha256_block] == [null, null]')" = true ] ||
        fail "the store says that its inputs were hashed in blocks"
done
# One core: leaves are taken from what the walk reads, in rounds and stripes of any size; pcapng as well, and compressed.
editcap -F pcapng large.pcap large.pcapng 2>/dev/null || cp large.pcap large.pcapng
gzip -1 <small.pcap >small2.pcap.gz
tree_form="$(tree large.pcap) $(tree large.pcapng) $(tree small.pcap) $(tree small2.pcap.gz) "
for round in 0 700001 1048576; do
    for ranks in 1 3; do
        rm -f tree.h5
        taskset -c 0 mpirun -n $ranks "$WIRESWEEP" extract -q --set input_hash=tree --set round_bytes=$round -o tree.h5 \
            large.pcap large.pcapng small.pcap small2.pcap.gz
        [ "$(hashes tree.h5)" = "$tree_form" ] || fail "$ranks ranks on a core, rounds of $round: $(hashes tree.h5), not $tree_form"
    done
done
# Large pieces are cut at blocks: of a round of 10 MiB a capture's last 6.2 MiB and the next one's first 3.8 are shared by three ranks, of
# which the last has nothing of the first capture.
mpirun -n 1 "$WIRESWEEP" extract -q -o whole.h5 first.pcap second.pcap
mpirun -n 3 "$WIRESWEEP" extract -q --json --set round_bytes=10485760 -o cut.h5 first.pcap second.pcap >cut.json
[ "$("$WIRESWEEP" inspect --hash cut.h5)" = "$("$WIRESWEEP" inspect --hash whole.h5)" ] || fail "pieces of several captures in a round: another content"
jq -e '.boundary_repairs == 0' cut.json >/dev/null || fail "starts were guessed in the wrong capture: $(jq .boundary_repairs cut.json) repairs"
