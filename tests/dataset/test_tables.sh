#!/bin/bash
# ctest: labels=cli,mpi timeout=240
# Flow tables as a user gives them: every oddity of the published files in small made files, counted against Python's own
# csv module; the same store for any number of ranks and round size, plain and compressed; refusals in one line.
set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
fail() { echo "FAILED: $*"; exit 1; }
expect() { # expect STATUS TEXT COMMAND...
    local status=$1 text=$2; shift 2
    "$@" >out 2>err; local got=$?
    [ $got = "$status" ] || fail "$* ended with $got, not $status: $(cat out err)"
    [ -z "$text" ] || grep -qF -- "$text" out err || fail "$* does not say \"$text\": $(cat out err)"
}
command -v python3 >/dev/null || { echo "no python3"; exit 77; }

python3 - <<'PY'
import csv, gzip, io, json, random
random.seed(5)
# The first columns of CICIDS2017's published tables, padded to the 79 there are; one name comes twice.
names = ''' Destination Port, Flow Duration, Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets, Total Length of Bwd Packets, Fwd Packet Length Max, Fwd Packet Length Min, Fwd Packet Length Mean, Fwd Packet Length Std,Bwd Packet Length Max, Bwd Packet Length Min, Bwd Packet Length Mean, Bwd Packet Length Std,Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max, Flow IAT Min,Fwd IAT Total, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min,Bwd IAT Total, Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min,Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags, Bwd URG Flags, Fwd Header Length, Bwd Header Length,Fwd Packets/s, Bwd Packets/s, Min Packet Length, Max Packet Length, Packet Length Mean, Packet Length Std, Packet Length Variance,FIN Flag Count, SYN Flag Count, RST Flag Count, PSH Flag Count, ACK Flag Count, URG Flag Count, CWE Flag Count, ECE Flag Count, Down/Up Ratio, Average Packet Size, Avg Fwd Segment Size, Avg Bwd Segment Size, Fwd Header Length,Fwd Avg Bytes/Bulk, Fwd Avg Packets/Bulk, Fwd Avg Bulk Rate, Bwd Avg Bytes/Bulk, Bwd Avg Packets/Bulk,Bwd Avg Bulk Rate,Subflow Fwd Packets, Subflow Fwd Bytes, Subflow Bwd Packets, Subflow Bwd Bytes,Init_Win_bytes_forward, Init_Win_bytes_backward, act_data_pkt_fwd, min_seg_size_forward,Active Mean, Active Std, Active Max, Active Min,Idle Mean, Idle Std, Idle Max, Idle Min'''
assert len(names.split(',')) == 78
def row(seed, **changed):
    r = [str((seed * 7 + k) % 1000) for k in range(78)]
    for k, v in changed.items(): r[int(k[1:])] = v
    return r
good = [','.join(row(i) + ['BENIGN']) for i in range(40)]
bad = [','.join(row(1, c14='Infinity') + ['Bot']), ','.join(row(2, c15='NaN', c14='-inf') + ['Bot']),
       ','.join(row(3, c20='') + ['Bot']), ','.join(row(4, c20='http://x/') + ['Bot']),   # the last one is no number
       ','.join([''] * 79), '', ','.join(row(5)[:50]), ','.join(row(6) + ['Bot', '7', '8']),
       ','.join(row(7) + ['Bot', '', '']), names + ', Label']
odd = [b','.join(c.encode() for c in row(9 + i)) + b',Web Attack ' + d + b' XSS' for i, d in
       enumerate([b'\x96', b'\xef\xbf\xbd', b'\xc2\x96', b'\xe2\x80\x93', b'\xc3\xaf\xc2\xbf\xc2\xbd', b'-', b'  -  '])]
with open('odd.csv', 'wb') as f:
    f.write(b'\xef\xbb\xbf' + names.encode() + b', Label\r\n')
    for line in good + bad: f.write(line.encode() + b'\r\n')
    for line in odd: f.write(line + b'\r\n')
    f.write(','.join(row(60) + ['"quo""ted"']).encode() + b'\r\n')
    f.write(','.join(row(61) + ['last, without a line end'.replace(',', '')]).encode())
# 85 columns: addresses, a 12-hour clock
head = 'Flow ID, Source IP, Source Port, Destination IP,' + names.split(',')[0] + ', Protocol, Timestamp,' + ','.join(names.split(',')[1:]) + ', Label\n'
def full(i, when): return ','.join(['id', '172.16.0.1', str(1000 + i), '192.168.10.50', '80', '6', when] + row(i)[1:] + ['DDoS']) + '\n'
open('full.csv', 'w').write(head + full(1, '7/7/2017 3:56') + full(2, '03/07/2017 08:55:58') + full(3, '2017-07-03 11:55:58.598308') + full(4, 'noon'))
# The corrected release: 91 columns under other names, attempts told apart
h = 'id,Flow ID,Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Total Fwd Packet,Total Bwd packets,Total Length of Fwd Packet,Total Length of Bwd Packet'.split(',')
for d in ('Fwd', 'Bwd'): h += [f'{d} Packet Length {s}' for s in ('Max', 'Min', 'Mean', 'Std')]
h += ['Flow Bytes/s', 'Flow Packets/s'] + [f'Flow IAT {s}' for s in ('Mean', 'Std', 'Max', 'Min')]
for d in ('Fwd', 'Bwd'): h += [f'{d} IAT {s}' for s in ('Total', 'Mean', 'Std', 'Max', 'Min')]
h += [f'{d} {f} Flags' for f in ('PSH', 'URG', 'RST') for d in ('Fwd', 'Bwd')]
h += 'Fwd Header Length,Bwd Header Length,Fwd Packets/s,Bwd Packets/s'.split(',') + [f'Packet Length {s}' for s in ('Min', 'Max', 'Mean', 'Std', 'Variance')]
h += [f'{f} Flag Count' for f in ('FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'CWR', 'ECE')] + 'Down/Up Ratio,Average Packet Size,Fwd Segment Size Avg,Bwd Segment Size Avg'.split(',')
for d in ('Fwd', 'Bwd'): h += [f'{d} Bytes/Bulk Avg', f'{d} Packet/Bulk Avg', f'{d} Bulk Rate Avg']
for d in ('Fwd', 'Bwd'): h += [f'Subflow {d} Packets', f'Subflow {d} Bytes']
h += 'FWD Init Win Bytes,Bwd Init Win Bytes,Fwd Act Data Pkts,Fwd Seg Size Min'.split(',') + [f'{k} {s}' for k in ('Active', 'Idle') for s in ('Mean', 'Std', 'Max', 'Min')]
h += 'ICMP Code,ICMP Type,Total TCP Flow Time,Label,Attempted Category'.split(',')
assert len(h) == 91
def fixed(i, label, category): return [str(i), 'x', '192.168.10.8', '1', '192.168.10.50', '80', '6', '2017-07-03 11:55:58.598308'] + [str(k + i) for k in range(81)] + [label, category]
open('wednesday.csv', 'w').write('\n'.join(','.join(r) for r in [h, fixed(1, 'BENIGN', '-1'), fixed(2, 'DoS Hulk', '-1'), fixed(3, 'DoS Hulk - Attempted', '4')]) + '\n')
# CIC-DDoS2019: a row number before, a text and a mark behind
open('ddos.csv', 'w').write('Unnamed: 0,' + head[:-len(', Label\n')] + ', SimillarHTTP, Inbound, Label\n' + '5,' + full(1, '2018-12-01 10:51:39.813448')[:-len(',DDoS\n')] + ',http://a/,1,DrDoS_DNS\n')
open('fx.csv', 'w').write('''app,service,condition,packet_lengths,iat_values,directions,rtt_ms,jitter_ms,loss_rate,total packets,total fwd packets,total backward packets,packet length mean,packet length std,flow iat mean,flow iat std,flow duration,flow bytes/s,flow packets/s,protocol
youtube,streaming,good,60.00;1500.00;52.00,0.0000;2.5000;1.0000,1;-1;1,1.16,1,0.0,3,2,1,537,600,1.1,1,3.5,460000,857,17
zoom,conferencing,bad,60.00;1500.00,0.0000;2.5000;1.0000,1;-1;1,1.16,1,0.0,3,2,1,537,600,1.1,1,3.5,460000,857,17
''')
# Many rows with line breaks and separators within quotes: wrong guesses at every cut.
with open('quoted.csv', 'w', newline='') as f:
    w = csv.writer(f)
    w.writerow(['a', 'b', 'note', 'label'])
    for i in range(6000):
        w.writerow([i, i / 7, 'x', random.choice(['one', 'two\n3,4,no,"row"\n5,6,no,row', 'th"ree', 'a\r\nb'])])
with open('quoted.csv', 'rb') as f, gzip.open('quoted.csv.gz', 'wb') as g: g.write(f.read())
json.dump({'table': {'features': ['a', 'b'], 'labels': {'kind': 'label'}, 'unused': ['note'], 'units': {'a': 'packets'}, 'feature_table': 'mine'}}, open('quoted.json', 'w'))
# ARFF, as declared and after a spreadsheet
arff = ['@RELATION <x>', '%% a comment', '@ATTRIBUTE duration NUMERIC', "@ATTRIBUTE 'min_fiat' NUMERIC", '@attribute max_fiat NUMERIC', '@ATTRIBUTE class1 {TOR,NONTOR}', '', '@DATA']
data = ['%d,%d,%d,%s' % (i, i * 3, -1, 'TOR' if i % 3 else 'NONTOR') for i in range(30)]
open('a.arff', 'w').write('\n'.join(arff + ['% in between'] + data) + '\n')
lines = [l.replace('@DATA', '@DATA') for l in arff if not l.startswith('%')] + data
open('b.csv', 'w').write('id,\n' + ''.join('%d,%s,,,\n' % (i, l) if not l[:1].isdigit() else '%d,%s\n' % (i, l) for i, l in enumerate(lines)))
# CESNET: packet sequences, histograms, both spellings, no time
def cesnet(name, agent, n, psh, times):
    with gzip.open(name, 'wt', newline='') as f:
        w = csv.writer(f)
        cols = ['ID', agent] + (['TIME_FIRST', 'TIME_LAST'] if times else []) + ['DURATION', 'BYTES', 'BYTES_REV', 'PACKETS', 'PACKETS_REV', 'PPI', 'PPI_LEN', 'PPI_DURATION', 'PPI_ROUNDTRIPS', 'PHIST_SRC_SIZES', 'PHIST_DST_SIZES', 'PHIST_SRC_IPT', 'PHIST_DST_IPT', 'APP', 'CATEGORY', 'FLOW_ENDREASON_IDLE', 'FLOW_ENDREASON_ACTIVE', 'FLOW_ENDREASON_OTHER', 'PROTOCOL'] + (['FLAG_' + x for x in ('CWR', 'ECE', 'URG', 'ACK', 'PSH', 'RST', 'SYN', 'FIN')] if psh else [])
        w.writerow(cols)
        for i in range(n):
            k = i % 5 + 1
            ppi = [[0] + [10] * (k - 1), [1 if j % 2 == 0 else -1 for j in range(k)], [100 + j for j in range(k)]] + ([[j % 2 for j in range(k)]] if psh else [])
            if i == 7: ppi = 'nonsense'
            if i == 8: ppi = [[], [], []]
            w.writerow([i, 'Mozilla/5.0 (X, Y)'] + (['2022-10-31T00-01-02.%06d' % i, '2022-10-31T00-01-03.000000'] if times else []) + [1.5, 100, 200, 3, 4, str(ppi), k, 0.5, 1] + [str([i] * 8)] * 4 + ['app%d' % (i % 4), 'music', 1, 0, 0, 17] + ([0] * 8 if psh else []))
cesnet('flows-20221031.csv.gz', 'QUIC_USER_AGENT', 500, False, True)
cesnet('flows-20221101.csv.gz', 'QUIC_USERAGENT', 400, False, True)
cesnet('flows-20211004.csv.gz', 'TLS_SNI', 300, True, False)
open('empty.csv', 'w')
open('nul.csv', 'wb').write(b'a,b\0c\n1,2\n')
open('open.csv', 'w').write('a,b,label\n1,2,"never closed\n3,4,x\n5,6,y\n')
PY
[ $? = 0 ] || fail "the files could not be made"
same() { # same NAME ARGUMENTS...: one hash for 1, 2 and 3 ranks, with rounds of 4 KiB and as they are
    local name=$1 hash= how; shift
    for how in "1 0" "1 4096" "2 4096" "3 0" "3 4096"; do
        local ranks=${how% *} round=${how#* } launch=
        [ $ranks = 1 ] || launch="mpirun -n $ranks"
        $launch "$WIRESWEEP" extract -q --json --set round_bytes=$round -o $name.h5 "$@" >$name.$ranks 2>err ||
            fail "$name with $ranks ranks: $(cat err)"
        local now; now=$("$WIRESWEEP" inspect --hash $name.h5) || fail "no hash of $name"
        [ -z "$hash" ] || [ "$now" = "$hash" ] || fail "$name: $ranks ranks, rounds of $round: another store"
        hash=$now
    done
}
count() { grep -qF -- "\"$2\": $3" $1.1 || fail "$1: $2 is not $3: $(cat $1.1)"; }
column() { "$WIRESWEEP" export -q "$1" -o t.csv && python3 -c "
import csv, sys
print(' '.join(r[sys.argv[1]] for r in csv.DictReader(open('t.csv', newline=''))))" "$2"; }

same odd --dataset cicids2017 odd.csv
count odd flows 53; count odd rows_skipped 6; count odd cells_not_finite 3; count odd cells_empty 1
expect 0 "Web Attack - XSS                                    7" "$WIRESWEEP" inspect odd.h5
for reason in '"empty":2' '"header_again":1' '"no_number":1' '"too_few_fields":1' '"too_many_fields":1'; do
    "$WIRESWEEP" inspect --json odd.h5 | tr -d '\t\n ' | grep -qF -- "$reason" || fail "odd: no $reason"
done
[ "$(column odd.h5 'label_label' | grep -o 'quo"ted last without a line end$')" ] || fail "labels: $(column odd.h5 label_label)"
[ "$(column odd.h5 row_hash | tr ' ' '\n' | sort -u | wc -l)" = 53 ] || fail "row hashes are not unique"
expect 0 "" "$WIRESWEEP" extract --set non_finite=skip --dataset cicids2017 -o skip.h5 odd.csv
grep -q "51 rows of 59 records" err || fail "non_finite=skip: $(cat err)"

same full --dataset cicids2017 --endpoints plain full.csv
[ "$(column full.h5 first_ns)" = "1499453760000000000 1499082958000000000 1499082958598308000 0" ] || fail "times: $(column full.h5 first_ns)"
[ "$(column full.h5 source)" = "172.16.0.1:1001 172.16.0.1:1002 172.16.0.1:1003 172.16.0.1:1004" ] || fail "$(column full.h5 source)"
expect 1 "tables with different columns" "$WIRESWEEP" extract -q --dataset flow_csv -o x.h5 full.csv quoted.csv

same fixed --dataset cicids2017 wednesday.csv
[ "$(column fixed.h5 label_label)" = "BENIGN DoS Hulk " ] || fail "labels: $(column fixed.h5 label_label)"
[ "$(column fixed.h5 label_label_attempted)" = "BENIGN DoS Hulk DoS Hulk - Attempted" ] || fail "$(column fixed.h5 label_label_attempted)"
"$WIRESWEEP" inspect --json fixed.h5 | grep -qF '"columns_left_out":	""' || fail "columns of the corrected release are not known"
if command -v h5dump >/dev/null; then
    h5dump -y -d /labels/attempted fixed.h5 | tr -d ' \n' | grep -q 'DATA{0,0,5}' || fail "attempts"
    h5dump -H fixed.h5 | tr -d ' \n' | grep -q 'DATASET"cicflowmeter"{DATATYPEH5T_IEEE_F32LEDATASPACESIMPLE{(3,81)' || fail "81 features"
fi
expect 0 "" "$WIRESWEEP" extract -q --dataset cicddos2019 -o ddos.h5 ddos.csv
[ "$(column ddos.h5 first_ns)" = 1543675899813448000 ] || fail "time of December 2018: $(column ddos.h5 first_ns)"
same fx --dataset flowconx_csv fx.csv
count fx flows 1; count fx stored_packets 3; count fx rows_skipped 1
expect 2 "--labels" "$WIRESWEEP" extract -q --dataset flow_csv --labels x -o x.h5 quoted.csv

same quoted --dataset flow_csv --config quoted.json quoted.csv
count quoted flows 6000
[ "$(column quoted.h5 b | md5sum)" = "$(python3 -c "
import csv, struct
f = lambda x: struct.unpack('f', struct.pack('f', x))[0]
print(' '.join('%.9g' % f(float(r['b'])) for r in csv.DictReader(open('quoted.csv', newline=''))))" | md5sum)" ] || fail "values of quoted.csv"
same packed --dataset flow_csv --config quoted.json quoted.csv.gz
count packed flows 6000
[ "$(column quoted.h5 label_kind | md5sum)" = "$(column packed.h5 label_kind | md5sum)" ] || fail "labels differ when compressed"
head -c 9000 quoted.csv.gz >cut.csv.gz
expect 1 "cut.csv.gz: damaged or cut off" "$WIRESWEEP" extract -q --dataset flow_csv -o x.h5 cut.csv.gz
[ ! -e x.h5 ] && [ ! -e x.h5.partial ] || fail "something is left of a failed run"

same arff --dataset iscxtor2016 a.arff
count arff flows 30; count arff rows_skipped 1
same sheet --dataset iscxtor2016 b.csv
count sheet flows 30
[ "$(column arff.h5 min_fiat)" = "$(column sheet.h5 min_fiat)" ] || fail "ARFF and what a spreadsheet made of it differ"

same quic --dataset cesnet_quic22 flows-20221101.csv.gz flows-20221031.csv.gz
count quic flows 898; count quic rows_skipped 2; count quic stored_packets $((500 / 5 * 15 + 400 / 5 * 15 - 2 * (3 + 4)))
[ "$(column quic.h5 first_ns | cut -c1-39)" = "1667174462000000000 1667174462000001000" ] || fail "times: $(column quic.h5 first_ns | cut -c1-60)"
same tls --dataset cesnet_tls22 flows-20211004.csv.gz
[ "$(column tls.h5 first_ns | cut -c1-19)" = 1633305600000000000 ] || fail "no day from the name"
if command -v h5dump >/dev/null; then
    h5dump -y -d /packets/offset_ns -c 6 tls.h5 | tr -d ' \n' | grep -q 'DATA{0,0,10000000,0,10000000,20000000}' || fail "packets: $(h5dump -d /packets/offset_ns -c 6 tls.h5)"
    h5dump -y -d /packets/flags -c 3 tls.h5 | tr -d ' \n' | grep -q 'DATA{0,0,8}' || fail "PSH flags"
    h5dump -y -d /packets/direction -c 6 tls.h5 | tr -d ' \n' | grep -q -- 'DATA{1,1,-1,1,-1,1}' || fail "directions"
    h5dump -H tls.h5 | grep -q 'DATASET "cesnet_stats"' || fail "no cesnet_stats"
fi

same open --dataset flow_csv open.csv
count open flows 2; count open rows_skipped 1
expect 1 "empty.csv" "$WIRESWEEP" extract -q --dataset flow_csv -o x.h5 empty.csv
expect 1 "nul.csv" "$WIRESWEEP" extract -q --dataset flow_csv -o x.h5 nul.csv
expect 1 "are needed" "$WIRESWEEP" extract -q --dataset cicids2017 -o x.h5 quoted.csv
expect 3 "" "$WIRESWEEP" extract -q --dataset cicids2017 --on-error skip -o x.h5 odd.csv quoted.csv
# Not packed or encoded as it could be read: what it is and what to do.
printf 'a,b\n1,2\n' | python3 -c 'import sys; sys.stdout.buffer.write(sys.stdin.read().encode("utf-16"))' >utf16.csv
expect 1 "UTF-16 text" "$WIRESWEEP" extract -q --dataset flow_csv -o x.h5 utf16.csv
grep -q 'hint: .*iconv' err || fail "no hint for UTF-16"
printf 'PK\3\4zipped' >table.zip
expect 1 "zip file, not readable as it is" "$WIRESWEEP" extract -q --dataset iscxtor2016 -o x.h5 table.zip
expect 1 "zip file, not readable as it is" "$WIRESWEEP" extract -q --dataset etbert_tsv -o x.h5 table.zip
printf '\0\1\2\3' >table.bin
expect 1 "no flow table, and etbert_tsv has no captures" "$WIRESWEEP" extract -q --dataset etbert_tsv -o x.h5 table.bin
# A column of texts among the features: the word that leaves it out works as it is.
printf 'n,note,label\n1,seen,a\n2,unseen,b\n' >texts.csv
expect 0 '{"table": {"unused": ["note"]}}' "$WIRESWEEP" extract --dataset flow_csv -o x.h5 texts.csv
grep -o '{"table".*}}' err >texts.json
expect 0 "2 rows of 2 records" "$WIRESWEEP" extract --dataset flow_csv --config texts.json -o x.h5 texts.csv
echo '{"table": {"sauce": "a", "duration_unit": "h"}}' >wrong.json
expect 2 "table.sauce" "$WIRESWEEP" extract -q --dataset flow_csv --config wrong.json -o x.h5 quoted.csv
echo '{"table": ["a"]}' > wrong.json
expect 2 "an object is wanted" "$WIRESWEEP" extract -q --dataset flow_csv --config wrong.json -o x.h5 quoted.csv
exit 0
