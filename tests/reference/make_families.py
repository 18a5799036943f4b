"""Inputs of every data set family, as many tables as two files each of ROWS rows, into one folder a family.

usage: make_families.py FOLDER ROWS CAPTURE CAPTURE

The two captures (pcap, in this machine's byte order, µs) are what the families of captures get under the names that their rules
look for; their flows are found in them plainly for label files. Writes FOLDER/list: a line a family, its folder and options.
"""
import csv
import json
import os
import shutil
import struct
import sys

import packets

FOLDER, ROWS, CAPTURES = sys.argv[1], int(sys.argv[2]), sys.argv[3:5]
LINES = []


def family(name, options="", dataset=None):
    path = os.path.join(FOLDER, name)
    os.makedirs(path, exist_ok=True)
    LINES.append("%s --dataset %s %s" % (name, dataset or name, options))
    return path


def table(path, head, row, delimiter=",", **quoting):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, **quoting)
        writer.writerow(head)
        writer.writerows(row(k) for k in range(ROWS))


# ---------------------------------------------------------------- captures
def captures(path, names):
    for name, capture in zip(names, CAPTURES):
        target = os.path.join(path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(capture, target)


def text_of(address, port):
    if address[:12] == b"\0" * 10 + b"\xff\xff":
        return "%d.%d.%d.%d:%d" % (*address[12:], port)
    return "[%s]:%d" % (":".join("%x" % (address[k] << 8 | address[k + 1]) for k in range(0, 16, 2)), port)


def decoded(capture):
    for record in packets.records(packets.content(capture)):
        try:
            yield record, packets.decode(record)
        except packets.Skip:
            yield record, None


def make_captures():
    captures(family("mawi", "--set reservoir=60 --set reservoir_kind=balanced"), ["200601011400.dump", "200601011415.dump"])
    captures(family("cicids2017"), ["Monday-WorkingHours.pcap", "Friday-WorkingHours.pcap"])
    captures(family("cicddos2019"), ["SAT-01-12-2018_0.pcap", "SAT-01-12-2018_1.pcap"])
    captures(family("iscxtor2016"), ["Tor/BROWSING_gate.pcap", "NonTor/browsing.pcap"])
    captures(family("iscxvpn2016"), ["vpn_email2a.pcap", "skype_audio1.pcap"])
    captures(family("ustc_tfc2016"), ["Malware/Zeus.pcap", "Benign/Gmail.pcap"])
    captures(family("ciciot2022"), ["Idle/amazonplug.pcap", "Power/roomba.pcap"])
    make_ndpi()
    make_pcapml()


def make_ndpi():
    path = family("ndpi")
    captures(path, ["pcap/one.pcap", "pcap/two.pcap"])
    os.makedirs(os.path.join(path, "result"))
    for name, capture in zip(["one", "two"], CAPTURES):
        seen = {}
        for _, packet in decoded(capture):
            if packet:
                ends = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
                seen.setdefault((packet.protocol, min(ends), max(ends)), ends)
        with open(os.path.join(path, "result", name + ".pcap.out"), "w", encoding="ascii") as file:
            for number, (key, ends) in enumerate(seen.items()):
                what = [("7/HTTP", "Web/5"), ("91.126/TLS.Google", "Web/5"), ("5/DNS", "Network/14")][number % 3]
                file.write("\t%d\t%s %s <-> %s [proto: %s][cat: %s]\n" % (
                    number + 1, {6: "TCP", 17: "UDP"}[key[0]], text_of(*ends[0]), text_of(*ends[1]), *what))


def make_pcapml():
    path = family("pcapml")
    for name, capture in zip(["a.pcapng", "b.pcapng"], CAPTURES):
        samples = {}
        with open(os.path.join(path, name), "wb") as file:
            file.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
            file.write(struct.pack("<IIHHII", 1, 20, 1, 0, 262144, 20))
            for record, packet in decoded(capture):
                body = struct.pack("<IIIII", 0, record.time_ns // 1000 >> 32, record.time_ns // 1000 & 0xFFFFFFFF,
                                   record.captured, record.wire) + record.frame + bytes(-record.captured % 4)
                if packet:
                    ends = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
                    sample = samples.setdefault((packet.protocol, min(ends), max(ends)), len(samples))
                    comment = ("%d,class%d" % (2**63 + sample, sample % 4)).encode()
                    body += struct.pack("<HH", 1, len(comment)) + comment + bytes(-len(comment) % 4) + bytes(4)
                file.write(struct.pack("<II", 6, len(body) + 12) + body + struct.pack("<I", len(body) + 12))


# ---------------------------------------------------------------- tables
def cicflowmeter():
    """The columns of the corrected release."""
    head = "id,Flow ID,Src IP,Src Port,Dst IP,Dst Port,Protocol,Timestamp,Flow Duration,Total Fwd Packet,Total Bwd packets," \
        "Total Length of Fwd Packet,Total Length of Bwd Packet".split(",")
    for side in ("Fwd", "Bwd"):
        head += ["%s Packet Length %s" % (side, s) for s in ("Max", "Min", "Mean", "Std")]
    head += ["Flow Bytes/s", "Flow Packets/s"] + ["Flow IAT " + s for s in ("Mean", "Std", "Max", "Min")]
    for side in ("Fwd", "Bwd"):
        head += ["%s IAT %s" % (side, s) for s in ("Total", "Mean", "Std", "Max", "Min")]
    head += ["%s %s Flags" % (side, flag) for flag in ("PSH", "URG", "RST") for side in ("Fwd", "Bwd")]
    head += "Fwd Header Length,Bwd Header Length,Fwd Packets/s,Bwd Packets/s".split(",")
    head += ["Packet Length " + s for s in ("Min", "Max", "Mean", "Std", "Variance")]
    head += [flag + " Flag Count" for flag in ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "CWR", "ECE")]
    head += "Down/Up Ratio,Average Packet Size,Fwd Segment Size Avg,Bwd Segment Size Avg".split(",")
    for side in ("Fwd", "Bwd"):
        head += ["%s Bytes/Bulk Avg" % side, "%s Packet/Bulk Avg" % side, "%s Bulk Rate Avg" % side]
    for side in ("Fwd", "Bwd"):
        head += ["Subflow %s Packets" % side, "Subflow %s Bytes" % side]
    head += "FWD Init Win Bytes,Bwd Init Win Bytes,Fwd Act Data Pkts,Fwd Seg Size Min".split(",")
    head += ["%s %s" % (kind, s) for kind in ("Active", "Idle") for s in ("Mean", "Std", "Max", "Min")]
    return head + "ICMP Code,ICMP Type,Total TCP Flow Time,Label,Attempted Category".split(",")


def corrected(k):
    attempted = k % 9 == 3
    label = ["BENIGN", "DoS Hulk", "Botnet Ares", "DoS Hulk - Attempted"][3 if attempted else k % 3]
    cells = ["%.3f" % (j * k % 1000 / 7) for j in range(81)]
    cells[13] = "Infinity" if k % 50 == 7 else cells[13]
    return [k, "x", "192.168.10.%d" % (k % 20), k % 65536, "192.168.10.50", 80, 6, "2017-07-03 11:%02d:%02d.598308" % (
        k // 60 % 60, k % 60)] + cells + [label, 4 if attempted else -1]


def arff(path):
    with open(path, "w", encoding="ascii") as file:
        file.write("@RELATION <x>\n% a comment\n@ATTRIBUTE duration NUMERIC\n@ATTRIBUTE 'min_fiat' NUMERIC\n"
                   "@attribute max_fiat NUMERIC\n@ATTRIBUTE class1 {TOR,NONTOR}\n\n@DATA\n")
        for k in range(ROWS * 4):
            file.write("%d,%d,%d,%s\n" % (k, k * 3, -1, "TOR" if k % 3 else "NONTOR"))
            if k % 70 == 0:
                file.write("% in between\n")


def cesnet(path, agent, psh):
    head = ["ID", agent, "TIME_FIRST", "TIME_LAST", "DURATION", "BYTES", "BYTES_REV", "PACKETS", "PACKETS_REV", "PPI",
            "PPI_LEN", "PPI_DURATION", "PPI_ROUNDTRIPS", "PHIST_SRC_SIZES", "PHIST_DST_SIZES", "PHIST_SRC_IPT",
            "PHIST_DST_IPT", "APP", "CATEGORY", "FLOW_ENDREASON_IDLE", "FLOW_ENDREASON_ACTIVE", "FLOW_ENDREASON_OTHER",
            "PROTOCOL"]
    head += ["FLAG_" + flag for flag in ("CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN")] if psh else []

    def row(k):
        n = k % 30 + 1
        ppi = [[0] + [10] * (n - 1), [1 if j % 2 == 0 else -1 for j in range(n)], [100 + j for j in range(n)]]
        ppi += [[j % 2 for j in range(n)]] if psh else []
        return [k, "Mozilla/5.0 (X, Y)\n\"quoted\"", "2022-10-31T00-01-02.%06d" % k, "2022-10-31T00-01-03.000000", 1.5, 100,
                200, 3, 4, "nonsense" if k % 90 == 8 else str(ppi), n, 0.5, 1] + [str([k] * 8)] * 4 + [
                    "app%d" % (k % 4), "music", 1, 0, 0, 17] + ([0] * 8 if psh else [])

    table(path, head, row)


def make_tables():
    path = family("cicids2017_tables", dataset="cicids2017")
    for day in ("monday", "friday"):
        table(path + "/%s.csv" % day, cicflowmeter(), corrected)
    path = family("cicddos2019_tables", dataset="cicddos2019")
    for name in ("DrDoS_DNS", "Syn"):  # a row number before, a text and a mark behind
        table(path + "/%s.csv" % name, ["Unnamed: 0"] + cicflowmeter()[1:-2] + [" SimillarHTTP", " Inbound", " Label"],
              lambda k, n=name: corrected(k)[:-2] + ["http://a/", 1, n if k % 5 else "BENIGN"])
    for name in ("iscxtor2016", "iscxvpn2016"):
        path = family(name + "_tables", dataset=name)
        arff(path + "/a.arff")
        arff(path + "/b.arff")
    path = family("ustc_tfc2016_tables", dataset="ustc_tfc2016")
    head = ["Address A", "Port A", "Address B", "Port B", "Packets", "Bytes", "Packets A → B", "Bytes A → B",
            "Packets B → A", "Bytes B → A", "Rel Start", "Duration", "Bits/s A → B", "Bits/s B → A"]
    for name in ("Benign/FTP_TCP", "Malware/Zeus_TCP"):
        table(path + "/%s.csv" % name, head, lambda k: [
            "1.1.%d.6" % (k % 200), k, "1.2.1.60", 53, 2, 180, 1, 82, 1, 98, k / 7, 0.05, 0, 0], quoting=csv.QUOTE_NONNUMERIC)
    path = family("ciciot2022_tables", dataset="ciciot2022")
    head = ["Unnamed: 0"] + "L4_tcp,L4_udp,L7_http,L7_https,port_class_src,port_class_dst,pck_size,ip_dst_new,ethernet_frame_size ," \
        "ttl,total_length,protocol ,source_port,dest_port,DNS_count,NTP_count,ARP_count,cnt,L3_ip_dst_count,most_freq_d_ip," \
        "most_freq_prot,most_freq_sport,most_freq_dport,sum_et,min_et,max_et,med_et,average_et,skew_et,kurt_et,var,q3,q1,iqr," \
        "sum_e,min_e,max_e,med,average,skew_e,kurt_e,var_e,q3_e,q1_e,iqr_e,epoch_timestamp,inter_arrival_time," \
        "time_since_previously_displayed_frame".split(",")
    for name in ("sonos/sonosoneLANSTOP_1", "roomba/roombaALEXACLEAN_1"):
        table(path + "/%s.csv" % name, head, lambda k: [k, 1, 0, 0, 1] + [k % 90 + j for j in range(41)] + [1633440886.7 + k, 0, 0])
    path = family("cesnet_quic22")
    cesnet(path + "/flows-20221031.csv", "QUIC_USER_AGENT", False)
    cesnet(path + "/flows-20221101.csv", "QUIC_USERAGENT", False)
    path = family("cesnet_tls22")
    cesnet(path + "/flows-20211004.csv", "TLS_SNI", True)
    cesnet(path + "/flows-20211005.csv", "TLS_SNI", True)
    path = family("traffic5g")
    for name in ("zoom", "tft"):
        table(path + "/%s_dataset.csv" % name, ["DL_bitrate", "UL_bitrate"], lambda k: [k * 37 % 20000, k * 11 % 3000])
    path = family("flowconx_csv")
    head = "app,service,condition,packet_lengths,iat_values,directions,rtt_ms,jitter_ms,loss_rate,total packets," \
        "total fwd packets,total backward packets,packet length mean,packet length std,flow iat mean,flow iat std," \
        "flow duration,flow bytes/s,flow packets/s,protocol".split(",")
    for name in ("a", "b"):
        table(path + "/%s.csv" % name, head, lambda k: [
            "youtube", "streaming", "good", ";".join(["60.00"] * (k % 9 + 1)), ";".join(["0.0000"] * (k % 9 + 1)), ";".join(
                ["1"] * (k % 9 + 1)), 1.16, 1, 0.0, k % 9 + 1, 2, 1, 537, 600, 1.1, 1, 3.5, 460000, 857, 17])
    path = family("etbert_tsv")
    for name in ("train", "valid"):
        table(path + "/%s_dataset.tsv" % name, ["label", "text_a"], lambda k: [
            k % 12, " ".join("%02x%02x" % (j * k % 256, (j + 1) * k % 256) for j in range(60))], delimiter="\t")
    path = family("flow_csv", "--config %s/flow_csv.json" % FOLDER)
    for name in ("a", "b"):
        table(path + "/%s.csv" % name, ["a", "b", "note", "label"], lambda k: [
            k, k / 7, "x", ["one", "two\n3,4,no,\"row\"\n5,6,no,row", "th\"ree", "a\r\nb"][k * 7 % 11 % 4]])
    with open(FOLDER + "/flow_csv.json", "w", encoding="ascii") as file:
        json.dump({"table": {"features": ["a", "b"], "labels": {"kind": "label"}, "unused": ["note"]}}, file)


os.makedirs(FOLDER, exist_ok=True)
make_captures()
make_tables()
with open(os.path.join(FOLDER, "list"), "w", encoding="ascii") as lines:
    lines.write("\n".join(LINES) + "\n")
