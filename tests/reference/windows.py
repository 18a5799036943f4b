"""What every 5-tuple has in every window of a capture, slowly and plainly: compared with `wiresweep extract --set window=S
--features flowconx,flowconx_v2`. Written from the description of FlowCon-X's background loader and of its canonical record;
shares no code with src/. One thing is ours: forward is the sender of a row's first packet.

windows.py STORE CAPTURE SECONDS first|epoch alone|capture     capture: what the whole capture has in every window
"""
import csv
import io
import ipaddress
import math
import os
import subprocess
import sys

import packets

V1 = ["rtt_ms", "jitter_ms", "loss_rate", "total packets", "total fwd packets", "total backward packets",
      "packet length mean", "packet length std", "flow iat mean", "flow iat std", "flow duration", "flow bytes/s",
      "flow packets/s"]


def mean(values):
    return math.fsum(values) / len(values)


def deviation(values):
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle)**2 for value in values) / len(values))


def statistics(rows):
    """Of (time_ns, forward, length): the two feature tables."""
    lengths = [min(length, 65535) for _, _, length in rows]
    gaps, newest = [0.0], rows[0][0]
    for time, _, _ in rows[1:]:
        gaps.append(max(0, time - newest) / 1e6)
        newest = max(newest, time)
    duration = (newest - rows[0][0]) / 1e6
    seconds = max(duration / 1e3, 0.001)
    forward = sum(1 for row in rows if row[1])
    n = len(rows)
    first = [mean(gaps), deviation(gaps), 0, n, forward, n - forward, mean(lengths), deviation(lengths), mean(gaps),
             deviation(gaps), duration, sum(lengths) / seconds, n / seconds]
    second = [math.log1p(n) / 12, math.log1p(sum(lengths)) / 20, math.log1p(duration) / 16, forward / n,
              math.log1p(mean(lengths)) / 8, math.log1p(deviation(lengths)) / 8, math.log1p(mean(gaps)) / 10,
              math.log1p(deviation(gaps)) / 10, math.log1p(sum(lengths) / seconds) / 20, math.log1p(n / seconds) / 12]
    return first, second


NEAR, FAR = (b"\xfd" + b"\0" * 15, 0), (b"\x01" + b"\0" * 15, 0)


def is_private(address):
    ip = ipaddress.ip_address(address)
    ip = ip.ipv4_mapped or ip
    if ip.version == 6:
        networks = "fc00::/7", "fe80::/10", "::1/128"
    else:
        networks = "10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"
    return any(ip in ipaddress.ip_network(network) for network in networks)


def windows_of(capture, length_ns, origin, rule):
    """{(protocol, source, destination, first_ns): (first table, second table)}, and where windows begin."""
    found, begin = {}, None if origin == "first" else 0
    for record in packets.records(packets.content(capture)):
        try:
            packet = packets.decode(record)
        except packets.Skip:
            continue
        if begin is None:
            begin = packet.time_ns
        source, destination = (packet.source, packet.source_port), (packet.destination, packet.destination_port)
        protocol = packet.protocol
        if rule == "capture":
            back = is_private(destination[0]) and not is_private(source[0])
            protocol, source, destination = 0, FAR if back else NEAR, NEAR if back else FAR
        key = (protocol, min(source, destination), max(source, destination), (packet.time_ns - begin) // length_ns)
        rows = found.setdefault(key, (NEAR, FAR, []) if rule == "capture" else (source, destination, []))[2]
        rows.append((packet.time_ns, source == found[key][0], packet.wire))
    result = {}
    for key, (source, destination, rows) in found.items():
        result[(key[0], source, destination, rows[0][0])] = statistics(rows)
    return result


def endpoint(text):
    host, port = text.rsplit(":", 1)
    raw = ipaddress.ip_address(host.strip("[]")).packed
    return (b"\0" * 10 + b"\xff\xff" + raw if len(raw) == 4 else raw), int(port)


def table(store, name):
    text = subprocess.run([os.environ["WIRESWEEP"], "export", "-q", "--features", name, store], check=True,
                          capture_output=True, text=True).stdout
    return list(csv.DictReader(io.StringIO(text, newline="")))


def main():
    store, capture, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    expected = windows_of(capture, round(seconds * 1e9), *sys.argv[4:6])
    first, second = table(store, "flowconx"), table(store, "flowconx_v2")
    if len(first) != len(expected) or len(second) != len(expected):
        sys.exit("%d rows, expected %d" % (len(first), len(expected)))
    names = list(second[0])[-10:]
    for row, other in zip(first, second):
        key = (int(row["protocol"]), endpoint(row["source"]), endpoint(row["destination"]), int(row["first_ns"]))
        if key not in expected:
            sys.exit("unexpected row %r" % (key, ))
        ours = [float(row[name]) for name in V1] + [float(other[name]) for name in names]
        theirs = expected[key][0] + expected[key][1]
        for name, a, b in zip(V1 + names, ours, theirs):
            if abs(a - b) > 1e-6 * max(1, abs(b)):
                sys.exit("%r: %s is %r, expected %r" % (key, name, a, b))
    print("%s: %d windows agree" % (capture, len(expected)))


if __name__ == "__main__":
    main()
