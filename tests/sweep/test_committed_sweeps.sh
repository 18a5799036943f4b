#!/bin/bash
# ctest: labels=cli timeout=180
# Every sweep of configs/sweeps resolves to trials, against small stores of the families and label levels it names; published
# numbers name sweeps that are there, and every published_*.json has numbers to be compared with.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
source=$WIRESWEEP_SOURCE
mkdir -p "$folder/configs" "$folder"/build/{stores,slices,quickstart,smoke,leaderboard} "$folder/captures"
cp -r "$source/configs/sweeps" "$folder/configs/"
cd "$folder"

extract() { # extract STORE ARGUMENT...
    "$WIRESWEEP" extract -q --packets 32 -o "build/$1" "${@:2}" 2>message || fail "$1: $(cat message)"
}

# ---- flow tables: 60 normal rows and 40 of an attack, from ten senders ----
cic=' Source IP, Source Port, Destination IP, Destination Port, Protocol, Timestamp, Flow Duration, Total Fwd Packets, Total Backward Packets,Total Length of Fwd Packets, Total Length of Bwd Packets, Fwd Packet Length Max, Fwd Packet Length Min, Fwd Packet Length Mean, Fwd Packet Length Std,Bwd Packet Length Max, Bwd Packet Length Min, Bwd Packet Length Mean, Bwd Packet Length Std,Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max, Flow IAT Min,Fwd IAT Total, Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min,Bwd IAT Total, Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min,Fwd PSH Flags, Bwd PSH Flags, Fwd URG Flags, Bwd URG Flags, Fwd Header Length, Bwd Header Length,Fwd Packets/s, Bwd Packets/s, Min Packet Length, Max Packet Length, Packet Length Mean, Packet Length Std, Packet Length Variance,FIN Flag Count, SYN Flag Count, RST Flag Count, PSH Flag Count, ACK Flag Count, URG Flag Count, CWE Flag Count, ECE Flag Count, Down/Up Ratio, Average Packet Size, Avg Fwd Segment Size, Avg Bwd Segment Size, Fwd Header Length.1,Fwd Avg Bytes/Bulk, Fwd Avg Packets/Bulk, Fwd Avg Bulk Rate, Bwd Avg Bytes/Bulk, Bwd Avg Packets/Bulk,Bwd Avg Bulk Rate,Subflow Fwd Packets, Subflow Fwd Bytes, Subflow Bwd Packets, Subflow Bwd Bytes,Init_Win_bytes_forward, Init_Win_bytes_backward, act_data_pkt_fwd, min_seg_size_forward,Active Mean, Active Std, Active Max, Active Min,Idle Mean, Idle Std, Idle Max, Idle Min, Label'
iscx='Source IP, Source Port, Destination IP, Destination Port, Protocol, Flow Duration, Flow Bytes/s, Flow Packets/s, Flow IAT Mean, Flow IAT Std, Flow IAT Max, Flow IAT Min,Fwd IAT Mean, Fwd IAT Std, Fwd IAT Max, Fwd IAT Min,Bwd IAT Mean, Bwd IAT Std, Bwd IAT Max, Bwd IAT Min,Active Mean, Active Std, Active Max, Active Min,Idle Mean, Idle Std, Idle Max, Idle Min,label'
table() { # table FILE HEADER NORMAL ATTACK
    awk -v header="$2" -v normal="$3" -v attack="$4" 'BEGIN {
        columns = split(header, name, ",")
        print header
        for (row = 0; row < 100; row++) {
            for (k = 1; k < columns; k++) {
                value = (row * 37 + k * 11) % 101
                if (name[k] ~ /Source IP/) value = "10.0.0." row % 10
                if (name[k] ~ /Destination IP/) value = "10.0.1.1"
                if (name[k] ~ /Protocol/) value = 6
                if (name[k] ~ /Timestamp/) value = sprintf("2017-07-05 12:%02d:%02d", row / 60, row % 60)
                printf "%s,", value
            }
            print row % 10 < 6 ? normal : attack
        }
    }' >"$1"
}
table cic.csv "$cic" BENIGN "DoS Hulk"
table iscx.csv "$iscx" nonTOR TOR
for store in stores/cicids2017 stores/cicids2017_wednesday slices/cicids2017; do extract $store.h5 --dataset cicids2017 cic.csv; done
extract stores/cicddos2019.h5 --dataset cicddos2019 cic.csv
for store in stores slices; do extract $store/iscxtor2016.h5 --dataset iscxtor2016 iscx.csv; done

extract leaderboard/iscxtor.h5 --dataset iscxtor2016 iscx.csv
sed '1s/label/class1/' iscx.csv >vpn.csv
extract leaderboard/iscxvpn.h5 --dataset iscxvpn2016 vpn.csv
conversation='Address A,Port A,Address B,Port B,Packets,Bytes,Packets A B,Bytes A B,Packets B A,Bytes B A,Rel Start,Duration,Bits/s A B,Bits/s B A,label'
mkdir Benign Malware
for table in Benign/Gmail_TCP.csv Malware/Zeus_TCP.csv; do
    table $table "$conversation" x x
    awk -F, -v OFS=, 'NR > 1 { $1 = "10.0.0." NR % 10; $3 = "10.0.1.1" } { NF--; print }' $table >$table.new
    mv $table.new $table
done
extract leaderboard/ustc.h5 --dataset ustc_tfc2016 Benign Malware

# ---- captures under the names that label rules look for ----
capture() { # capture FILE SEED
    mkdir -p "captures/$(dirname "$1")"
    "$WIRESWEEP_TOOLS/make_capture" --flows 30 --seed "$2" -o "captures/$1" --labels "captures/$1.labels" >/dev/null
}
seed=0
for name in nDPI/{a,b,c,d}.pcap nDPI/synscan.pcap pkt.TCP.synflood.pcap Tinba.pcap zeek/{a,b}.pcap tor/{torbrowsing1,torchat1,tormail1}.pcap \
    nontor/{browsing1,browsing2,spotify1,spotify2}.pcap; do
    capture "$name" $((seed += 1))
done
extract slices/captures.h5 --config "$source/configs/datasets/captures_slice.json" captures/{nDPI,zeek}/*.pcap captures/*.pcap
extract stores/iscxtor2016_captures.h5 --dataset iscxtor2016 captures/{tor,nontor}/*.pcap
rules() { # rules LEVEL NORMAL: the captures of nDPI are normal
    echo "{\"levels\": [\"$1\"], \"rules\": [{\"name\": \"normal\", \"directory\": [\"nDPI\"], \"classes\": {\"$1\": \"$2\"}}],
        \"otherwise\": {\"name\": \"attack\", \"classes\": {\"$1\": \"attack\"}}}" >rules.json
}
rules label BENIGN
for store in cicids2017 cicddos2019; do extract stores/${store}_captures.h5 --config rules.json captures/nDPI/*.pcap captures/*.pcap; done
rules category Web
extract quickstart/ndpi.h5 --config rules.json captures/nDPI/*.pcap captures/*.pcap
tables=$("$WIRESWEEP" list features | sed -n 's/.*\[\([a-z0-9_]*\),.*/\1/p' | sort -u | grep -v '^flow20$' | paste -sd,)
extract leaderboard/ndpi.h5 --config rules.json --features "$tables" captures/nDPI/*.pcap captures/*.pcap
"$WIRESWEEP_TOOLS/make_capture" --flows 300 --seed 1 -o synthetic.pcap --labels synthetic.csv >/dev/null
for store in quickstart smoke; do extract $store/synthetic.h5 --dataset synthetic --labels synthetic.csv synthetic.pcap; done

# ---- every sweep ----
for sweep in configs/sweeps/*.json; do
    "$WIRESWEEP" sweep "$sweep" --dry-run >trials 2>message || fail "$sweep: $(cat message)"
    [ "$(wc -l <trials)" -gt 5 ] || fail "$sweep has hardly a trial: $(cat trials)"
done

# ---- published numbers and their sweeps ----
for baseline in "$source"/configs/baselines/*.json; do
    for named in $(grep -o 'configs/[a-z0-9_/]*\.json' "$baseline"); do
        [ -f "$source/$named" ] || fail "$baseline names $named, which is not there"
    done
    rows=$(grep -c '"value":' "$baseline")
    [ "$(grep '"value":' "$baseline" | grep -c '"config": \(null\|"configs/\)')" = "$rows" ] ||
        fail "$baseline: a number without a word on what would reproduce it"
done
for sweep in configs/sweeps/published_*.json; do
    grep -q "$sweep" "$source"/configs/baselines/*.json || fail "no published number is to be compared with $sweep"
done
echo "every sweep resolves"
