#!/bin/bash
# ctest: labels=cli timeout=120
# inspect, export and split as a user calls them: what they print, how they refuse, and that h5dump reads the store.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; exit 1; }
expect() { # expect STATUS TEXT COMMAND...: exit status, and a text among what it prints
    local status=$1 text=$2; shift 2
    "$@" >out 2>err; local got=$?
    [ $got = "$status" ] || fail "$* ended with $got, not $status: $(cat out err)"
    [ -z "$text" ] || grep -qF -- "$text" out err || fail "$* does not say \"$text\": $(cat out err)"
}
# a capture of three records: one UDP packet, one ARP frame, one cut short in its IP header; little endian, microseconds
python3 - <<'PY' || exit 77
import struct
def record(t, frame): return struct.pack('<IIII', t, 500, len(frame), len(frame)) + frame
mac = bytes(12)
udp = mac + b'\x08\x00' + bytes([0x45,0,0,32,0,1,0,0,64,17,0,0,192,0,2,1,192,0,2,2]) + struct.pack('>HHHH', 1111, 53, 12, 0) + b'abcd'
with open('three.pcap', 'wb') as f:
    f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    f.write(record(1000, udp) + record(1001, mac + b'\x08\x06' + bytes(28)) + record(1002, udp[:20]))
open('labels.csv', 'w').write('capture,protocol,source,source_port,destination,destination_port,first_ns,label\n'
                              'three.pcap,UDP,192.0.2.2,53,192.0.2.1,1111,,lookup\n')
PY
expect 0 '"records":	3' "$WIRESWEEP" inspect --json three.pcap
grep -q '"not_ip":	1' out && grep -q '"network_truncated":	1' out && grep -q '"packets":	1' out || fail "skips: $(cat out)"
expect 0 "" "$WIRESWEEP" extract -q --labels labels.csv --endpoints plain -o store.h5 three.pcap
expect 0 "lookup" "$WIRESWEEP" inspect store.h5
expect 0 '"rows":	1' "$WIRESWEEP" inspect --json store.h5
expect 0 "" "$WIRESWEEP" inspect --hash store.h5
hash=$(cat out)
[ ${#hash} = 64 ] || fail "no hash: $hash"
mpirun -n 2 "$WIRESWEEP" inspect --hash store.h5 >out 2>err || fail "two ranks: $(cat err)"
[ "$(cat out)" = "$hash" ] || fail "two ranks find another hash: $(cat out)"
expect 0 "192.0.2.1:1111,192.0.2.2:53,lookup" "$WIRESWEEP" export store.h5
expect 0 "" "$WIRESWEEP" export store.h5 -q -o flows.csv
[ -s flows.csv ] && [ ! -e flows.csv.partial ] || fail "no flows.csv"
if command -v h5dump >/dev/null; then
    h5dump -H store.h5 >dump || fail "h5dump cannot read it"
    for name in flow20 first_ns row_hash packet_start offset_ns direction label input_sha256; do
        grep -q "DATASET \"$name\"" dump || fail "h5dump shows no $name"
    done
    h5dump -d /labels/label store.h5 | grep -q '"lookup"' || fail "h5dump shows no class names"
fi
# changed content, cut files, other files: one line each
cp store.h5 changed.h5
python3 - <<'PY'
data = bytearray(open('changed.h5', 'rb').read())
at = data.find(b'192.0.2.1:1111')
data[at] = ord('2')
open('changed.h5', 'wb').write(data)
PY
expect 1 "changed.h5" "$WIRESWEEP" inspect --hash changed.h5
head -c 3000 store.h5 >cut.h5
expect 1 "cut.h5" "$WIRESWEEP" inspect cut.h5
[ "$(grep -c '' err)" -le 2 ] || fail "more than an error and a hint: $(cat err)"
expect 1 "labels.csv" "$WIRESWEEP" inspect labels.csv
expect 1 "nowhere.h5" "$WIRESWEEP" inspect nowhere.h5
expect 2 "" "$WIRESWEEP" inspect .
expect 2 "" "$WIRESWEEP" inspect
expect 2 "did you mean" "$WIRESWEEP" split store.h5 --protocol temporall
expect 2 "no label level" "$WIRESWEEP" split store.h5 --label colour
expect 2 "gives no" "$WIRESWEEP" split store.h5 # one row cannot fill three parts
expect 0 '"split_hash"' "$WIRESWEEP" split store.h5 --json --train-fraction 1 --validation-fraction 0
echo '{"a": 1, "b": {"c": "text"}}' >some.json
expect 0 "text" "$WIRESWEEP" inspect some.json
exit 0
