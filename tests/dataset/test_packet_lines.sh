#!/bin/bash
# ctest: labels=mpi timeout=240
# 5G captures as lines of packets, both published forms: the flows that a slow second implementation finds, the same for any
# ranks, rounds and compression; lines that are none are damage, and what is no IP is counted.
set -euo pipefail
for program in python3 h5dump jq; do
    command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
. "$WIRESWEEP_SOURCE/tests/dataset/extract_compare.sh"

python3 - <<'PY'
import datetime, random
random.seed(3)
epoch = datetime.datetime(1970, 1, 1)
def wall(us): return epoch + datetime.timedelta(microseconds=us)
def flows(packets):
    """idle 64 s, active 300 s, a key of protocol and two addresses; rows: packets and bytes either way, phone first"""
    live, out = {}, []
    for time, a, b, protocol, length in packets:
        key = (protocol, *sorted((a, b)))
        f = live.get(key)
        if f and (time - f['first'] >= 300e6 or time - f['last'] >= 64e6):
            out.append(live.pop(key)); f = None
        f = f or live.setdefault(key, {'first': time, 'count': [0, 0], 'bytes': [0, 0], 'protocol': protocol})
        phone = a.startswith('10.') or a.startswith('fd')
        f['last'] = time
        f['count'][not phone] += 1
        f['bytes'][not phone] += max(length - 14, (40 if ':' in a else 20) + (20 if protocol == 6 else 8 if protocol == 17 else 0))
    return out + list(live.values())
def packets(n, start):
    t, out = start, []
    for _ in range(n):
        t += random.choice([200, 5000, 900000, 900000, 66000000 if random.random() < .02 else 10])
        k = random.randrange(6)
        phone, server = ('10.215.173.1', '203.0.113.%d' % k) if k else ('fd00::1', '2001:db8::7')
        a, b = (phone, server) if random.random() < .4 else (server, phone)
        name, protocol = random.choice([('TCP', 6), ('TLSv1.2', 6), ('OCSP', 6), ('WebSocket', 6), ('QUIC', 17), ('UDP', 17), ('RakNet', 17)])
        out.append((t, a, b, protocol, random.choice([74, 86, 1292, 1514] if ':' in a else [54, 60, 66, 1292, 1514]), name))
    return out
start = int((datetime.datetime(2022, 6, 3, 9, 0) - epoch).total_seconds()) * 10**6
expected = []
for name, n in (('Zoom_1', 6000), ('YouTube_Live_2', 3000)):
    p = packets(n, start)
    with open(name + '.csv', 'w', newline='') as f:
        f.write('\ufeff' if n == 3000 else '')
        f.write('"No.","Time","Source","Destination","Protocol","Length","Info"\r\n')
        for i, (t, a, b, protocol, length, layer) in enumerate(p):
            f.write('"%d","%s","%s","%s","%s","%d","443  >  50000 [ACK] ""x"", y %s"\r\n' % (i + 1, wall(t).strftime('%F %T.%f'), a, b, layer, length, 'z' * random.randrange(90)))
            if i % 1000 == 500:
                f.write('"0","%s","Xiaomi_00:01","Broadcast","ARP","42","Who has"\r\n' % wall(t).strftime('%F %T.%f'))
                f.write('"0","%s","10.215.173.1","203.0.113.9","%s","98","Echo"\r\n' % (wall(t).strftime('%F %T.%f'), ('ICMP', 'IGMPv3')[i % 2000 < 1000]))
            if n == 3000 and i % 1500 == 700:
                f.write('"cut off","2022-06\r\nand more of it\r\n')
    expected.append((name, flows([q[:5] for q in p])))
p = [(t, a, b, 255, length) for t, a, b, _, length, _ in packets(2000, start)]
with open('Amazon_Prime_1.csv', 'w') as f: # of Korea's clock
    for t, a, b, _, length in p:
        f.write('%s%s 대한민국 표준시\t%s\t%s\t%d\n' % (wall(t + 9 * 3600 * 10**6).strftime('%b %e, %Y %T.%f'), '000', a, b, length))
expected.append(('Amazon_Prime_1', flows(p)))
with open('expected', 'w') as f:
    for name, rows in sorted(expected):
        for r in sorted([r['protocol'], r['first'] * 1000, r['last'] * 1000, *r['count'], *r['bytes']] for r in rows):
            f.write(name + '.csv ' + ' '.join(map(str, r)) + '\n')
PY

mkdir plain packed
mv ./*.csv plain
gzip -c plain/Zoom_1.csv >packed/Zoom_1.csv.gz
xz -c plain/YouTube_Live_2.csv >packed/YouTube_Live_2.csv.xz
{ head -c 70001 plain/Amazon_Prime_1.csv | zstd -qc; tail -c +70002 plain/Amazon_Prime_1.csv | zstd -qc; } >packed/Amazon_Prime_1.csv.zst
same_everywhere lines "1:4096 2:4096 3:200000 4:65536" --dataset traffic5g plain
reference=$(extract_hash 1 1000000000 --dataset traffic5g plain)
[ "$(extract_hash 2 4096 --dataset traffic5g packed)" = "$reference" ] || { echo "packed and plain lines differ"; exit 1; }

"$WIRESWEEP" extract -q --json --dataset traffic5g -o flows.h5 plain >report
column() { h5dump -y -w 0 -d "$1" flows.h5 | sed -n '/DATA {/,/}/p' | tr -d ' {}A-Z"' | tr ',' '\n' | grep -v '^$'; }
h5dump -y -w 0 -d /provenance/inputs flows.h5 | grep -o '"[^"]*"' | tr -d '"' | grep csv >names
paste -d' ' <(column /flows/input_id | while read -r id; do sed -n "$((id + 1))p" names; done) <(column /flows/protocol) \
    <(column /flows/first_ns) <(column /flows/last_ns) <(column /flows/packets_forward) <(column /flows/packets_backward) \
    <(column /flows/bytes_forward) <(column /flows/bytes_backward) | sort >got
sort expected >wanted
cmp got wanted || { diff got wanted | head; exit 1; }
# ARP and ICMP are counted, lines that are none are damage.
"$WIRESWEEP" inspect --json flows.h5 >told
[ "$(jq '.. | objects | select(has("sum")) | .sum.skipped.not_ip' told | head -1)" = 9 ]
[ "$(jq '.. | objects | select(has("sum")) | .sum.skipped.protocol_other' told | head -1)" = 9 ]
[ "$(jq '.. | objects | select(has("sum")) | .sum.damage_runs' told | head -1)" = 2 ]
[ "$(jq .labelled report)" = "$(jq .flows report)" ]
h5dump -a /labels/app/names flows.h5 | grep -q '"youtube_live"'
# Times since the first packet: one that was written behind it may be older.
printf '%s\n' '"No.","Time","Source","Destination","Protocol","Length","Info"' '"1","0.000000","10.0.0.1","10.0.0.2","TCP","60","a"' \
    '"2","-0.000012","10.0.0.1","10.0.0.2","TCP","60","b"' '"3","1.5","10.0.0.2","10.0.0.1","TCP","60","c"' >relative.csv
"$WIRESWEEP" extract -q --json -o relative.h5 relative.csv >relative
[ "$(jq -c '[.flows, .packets, .damage_runs]' relative)" = '[1,3,0]' ] || { cat relative; exit 1; }
# The same lines as an ordinary capture: no data set's time-outs and labels.
"$WIRESWEEP" extract -q -o generic.h5 plain/Zoom_1.csv
"$WIRESWEEP" inspect --json plain/Zoom_1.csv | grep -q '"packet lines"'
