#!/bin/bash
# ctest: labels=cli timeout=240
# Every published flow table that is at hand: as many rows, and as many of each class, as Python's csv module counts; a file
# of another kind is refused in one line.
set -u
data=${WIRESWEEP_SHARED_DATA:-}
[ -d "$data/cicids2017" ] || { echo "no shared data"; exit 77; }
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cat >"$work/check.py" <<'PY'
import csv, json, os, subprocess, sys
from collections import Counter
program, data, work = os.environ['WIRESWEEP'], sys.argv[1], sys.argv[2]
csv.field_size_limit(1 << 30)
families = {'cicids2017': ['cicids2017'], 'iscxtor2016': ['iscxtor2016'], 'iscxvpn2016': ['iscxvpn2016'],
            'ustc_tfc2016': ['ustc-tfc2016'], 'traffic5g': ['traffic5g'], 'etbert_tsv': ['etbert-tsv'],
            'flow_csv': ['cicddos2019', 'cesnet/CESNET+ALF']}
def clean(label):
    for broken in ('\x96', '\ufffd', '\u2013', '\xef\xbf\xbd'): label = label.replace(broken, '-')
    return ' '.join(label.split())
def count(path):
    """Rows and classes of the last column named as labels are."""
    text = open(path, encoding='utf-8-sig', errors='replace', newline='')
    names, rows, classes = None, 0, Counter()
    tab = path.endswith('.tsv')
    lead = 0
    for record in csv.reader(text, delimiter='\t' if tab else ','):
        if names is None and record and record[0] == 'id' and not ''.join(record[1:]):
            lead = 1
            continue
        cells = record[lead:]
        if names is None and (path.endswith('.arff') or lead):
            if cells and cells[0].lower().startswith('@data'): names = ['class1']
            continue
        if names is None:
            names = [n.strip().lower() for n in cells]
            continue
        if not ''.join(cells).strip(): continue
        rows += 1
        where = -1 if names == ['class1'] else next((names.index(n) for n in ('label', 'class', 'traffic_type') if n in names), None)
        if where is not None: classes[clean(cells[where])] += 1
    return rows, classes
failed = seen = 0
for family, folders in families.items():
    for folder in folders:
        for root, _, files in os.walk(os.path.join(data, folder)):
            for name in sorted(files):
                path = os.path.join(root, name)
                if not name.endswith(('.csv', '.tsv', '.arff')): continue
                store = os.path.join(work, 'x.h5')
                run = subprocess.run([program, 'extract', '-q', '--json', '--dataset', family, '-o', store, path], capture_output=True, text=True)
                if run.returncode:
                    print('FAILED:', path, run.stderr); failed += 1; continue
                got = json.loads(run.stdout)
                rows, classes = count(path)
                labels = json.loads(subprocess.run([program, 'inspect', '--json', store], capture_output=True, text=True).stdout)['labels']
                mine = next((labels[n]['classes'] for n in ('label', 'traffic_type') if n in labels), None)
                seen += 1
                if got['flows'] != rows or (classes and mine != dict(classes)):
                    print('FAILED:', path, got['flows'], rows, mine, dict(classes)); failed += 1
print(seen, 'tables')
sys.exit(failed > 0 or seen == 0)
PY
python3 "$work/check.py" "$data" "$work" || exit 1
# all devices in one store, a class a folder
"$WIRESWEEP" extract -q --json --dataset ciciot2022 -o "$work/iot.h5" "$data/ciciot2022" >"$work/out" || exit 1
rows=$(find "$data/ciciot2022" -name '*.csv' -print0 | xargs -0 awk 'FNR > 1 && NF' | wc -l)
grep -qF "\"flows\": $rows," "$work/out" || { echo "FAILED: CICIoT2022 has $rows rows: $(cat "$work/out")"; exit 1; }
# expected results of an exporter's tests are no tables with a header that we know: one line each, no crash
for file in "$data"/cesnet/CESNET+ipfixprobe/tests/functional/outputs/*; do
    "$WIRESWEEP" extract -q --dataset cesnet_quic22 -o "$work/y.h5" "$file" 2>"$work/err" && { echo "FAILED: $file was read"; exit 1; }
    [ "$(grep -c '' "$work/err")" -le 2 ] || { echo "FAILED: more than an error and a hint: $(cat "$work/err")"; exit 1; }
done
exit 0
