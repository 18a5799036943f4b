# Sourced: damaged CASES SEED: captures of every format, plain and compressed, tables of every family, and what the shared data
# have of broken files, whole and damaged, through all of an extraction (tests/tools/damage_files.c says what must hold).
damaged() {
    local cases=$1 seed=$2 tools=$WIRESWEEP_TOOLS files=() suffix file row
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    make() { local name=$1; shift; "$tools/make_capture" --flows 12 -o "$folder/$name" "$@" >/dev/null; files+=(generic "$folder/$name"); }
    make a.pcap --seed 1
    make b.pcap --seed 2 --swapped --nanoseconds
    make c.pcap --seed 3 --link sll2 --snap-length 128
    make d.pcap --seed 4 --adversarial 1400
    make e.pcapng --seed 5
    make f.pcapng --seed 6 --swapped --link raw
    for suffix in gz zst xz bz2; do
        for file in a.pcap e.pcapng; do
            case $suffix in
            gz) gzip -c "$folder/$file" ;;
            zst) zstd -qc "$folder/$file" ;;
            xz) xz -c "$folder/$file" ;;
            bz2) bzip2 -c "$folder/$file" ;;
            esac >"$folder/$file.$suffix"
            files+=(generic "$folder/$file.$suffix")
        done
    done
    table() { cat >"$folder/$2"; files+=("$1" "$folder/$2"); } # from a redirection: behind a pipe it would be lost
    local ppi='"[[0, 21, 3], [1, -1, 1], [1250, 1200, 80], [0, 1, 1]]"' histogram='"[1, 2, 3, 0, 0, 0, 0, 1]"'
    for suffix in quic22 tls22; do
        table cesnet_$suffix "cesnet_$suffix.csv" < <(
            echo "ID,SRC_IP,DST_IP,SRC_PORT,DST_PORT,PROTOCOL,QUIC_USERAGENT,TIME_FIRST,TIME_LAST,BYTES,BYTES_REV,PACKETS,PACKETS_REV,DURATION,PPI_LEN,PPI_DURATION,PPI_ROUNDTRIPS,PPI,PHIST_SRC_SIZES,PHIST_DST_SIZES,PHIST_SRC_IPT,PHIST_DST_IPT,FLOW_ENDREASON_IDLE,FLOW_ENDREASON_ACTIVE,FLOW_ENDREASON_OTHER,APP,CATEGORY"
            for row in {1..30}; do
                echo "$row,10.0.0.$row,10.0.1.1,$((50000 + row)),443,17,\"Mozilla, \"\"x\"\"\",2022-10-31T00:00:$row.5,2022-10-31T00:01:00,1200,90000,12,80,0.5,3,21,1,$ppi,$histogram,$histogram,$histogram,$histogram,1,0,0,app-$((row % 3)),video"
            done
        )
        table cesnet_$suffix "cesnet_$suffix.csv.gz" < <(gzip -c "$folder/cesnet_$suffix.csv")
    done
    table cesnet_tls22 cesnet_tls22.csv.xz < <(xz -c "$folder/cesnet_tls22.csv")
    table flow_csv generic.csv < <(
        printf '\xef\xbb\xbf Destination Port, Flow Duration, Total Fwd Packets,Flow Bytes/s, Label\r\n'
        for row in {1..40}; do printf '80,%d,3,%s,"Web Attack \x96 XSS"\r\n' "$row" "$((row % 5 ? row : 0))"; done
    )
    table iscxtor2016 tor.arff < <(
        printf '@RELATION <x>\n%% a comment\n@ATTRIBUTE duration NUMERIC\n@ATTRIBUTE min_fiat NUMERIC\n@attribute max_fiat NUMERIC\n@ATTRIBUTE class1 {TOR,NONTOR}\n@DATA\n'
        for row in {1..40}; do echo "$row,$((row * 3)),-1,TOR"; done
    )
    table etbert_tsv bytes.tsv < <(
        printf 'label\ttext_a\n'
        for row in {1..40}; do printf '%d\t4500 0034 3412 1200\n' $((row % 4)); done
    )
    table flowconx_csv fx.csv < <(
        echo 'app,service,condition,packet_lengths,iat_values,directions,rtt_ms,jitter_ms,loss_rate,total packets,total fwd packets,total backward packets,packet length mean,packet length std,flow iat mean,flow iat std,flow duration,flow bytes/s,flow packets/s,protocol'
        for row in {1..30}; do echo "zoom,conferencing,bad,60.00;1500.00,0.0000;2.5000,1;-1,1.16,1,0.0,3,2,1,537,600,1.1,1,3.5,460000,857,17"; done
    )
    # Of the published tables: a header and some rows, where they are at hand.
    data=${WIRESWEEP_SHARED_DATA:-}
    published() { file=$(find "$data/$2" -name "$3" 2>/dev/null | sort | head -n 1); [ -z "$file" ] || table "$1" "$1.csv" < <(head -n 40 "$file"); }
    published cicids2017 cicids2017 '*.csv'
    published cicddos2019 cicddos2019 '*.csv'
    published ciciot2022 ciciot2022 '*.csv'
    published traffic5g traffic5g '*.csv'
    while read -r file; do
        cp "$file" "$folder/"
        files+=(generic "$folder/${file##*/}")
    done < <(find "$data/broken" -type f 2>/dev/null | sort)
    if ! "$tools/damage_files" "$cases" "$seed" "$folder" "${files[@]}" 2>"$folder/log"; then
        tail -n 40 "$folder/log"
        mkdir -p "$WIRESWEEP_BUILD/damaged"
        cp "$folder"/case.* "$WIRESWEEP_BUILD/damaged/" 2>/dev/null
        echo "the file, where one is left: $WIRESWEEP_BUILD/damaged"
        return 1
    fi
}
