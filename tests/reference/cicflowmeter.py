"""Flows of a CICIDS2017 capture and the columns of CICFlowMeter that a store has, against two references: the definitions of
the corrected tool (Liu, Engelen, Lynar, Essam, Joosen: Error prevalence in NIDS datasets, CNS 2022), computed here from the
capture by themselves, and rows that the original tool published of the same connections. Shares no code with src/.

The corrected tool ends a flow after its FIN exchange, a RST, or 120 s. Lengths are those of payloads, deviations those of a
sample. The original tool cuts a connection behind its first FIN; what follows is a row of its own.

usage: cicflowmeter.py STORE.h5 CAPTURE [PUBLISHED.csv]     the store with --endpoints plain and all packets
"""
import csv
import math
import re
import sys

import compare
import packets

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TIMEOUT_US, LATE_US = 120 * 10**6, 5 * 10**6
UTC_OFFSET_MINUTES = 180  # of the published local times


class Flow:

    def __init__(self, first):
        self.first, self.packets, self.fins, self.ended = first, [], {}, None

    def add(self, time, source, packet):
        self.packets.append((time, source, packet))
        if self.ended is None and packet.protocol == 6:
            if packet.flags & RST or (len(self.fins) == 2 and packet.flags & ACK
                                      and source == list(self.fins)[0] and not packet.flags & FIN):
                self.ended = time
            if packet.flags & FIN:
                self.fins.setdefault(source, time)


def flows_of(capture):
    live, done = {}, []
    for record in packets.records(packets.content(capture)):
        try:
            packet = packets.decode(record)
        except packets.Skip:
            continue
        source = (packet.source.hex(), packet.source_port)
        destination = (packet.destination.hex(), packet.destination_port)
        key, time = (packet.protocol, frozenset((source, destination))), packet.time_ns // 1000
        flow = live.get(key)
        over = flow is not None and (time - flow.first >= TIMEOUT_US or
                                     (flow.ended is not None and
                                      (packet.flags & SYN or time - flow.ended > LATE_US)))
        if flow is None or over:
            flow = live[key] = Flow(time)
            done.append((packet.protocol, source, destination, flow))
        flow.add(time, source, packet)
    return done


# ---------------------------------------------------------------- definitions
def moments(values):
    """Mean, deviation of the sample, largest, smallest; 0 where there are too few."""
    if not values:
        return [0.0, 0.0, 0.0, 0.0]
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean)**2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
    return [mean, spread, max(values), min(values)]


def gaps(times):
    return [b - a for a, b in zip(times, times[1:])]


def definitions(rows):
    """Of (time in us, forward, payload, flags, window): name to value."""
    ways = [[r for r in rows if r[1]], [r for r in rows if not r[1]]]
    times = [r[0] for r in rows]
    duration, count = times[-1] - times[0], len(rows)
    out = {"Flow Duration": duration, "Total Fwd Packet": len(ways[0]), "Total Bwd packets": len(ways[1])}
    for name, way in zip(("Fwd", "Bwd"), ways):
        lengths, between = [r[2] for r in way], gaps([r[0] for r in way])
        out["Total Length of %s Packet" % name] = sum(lengths)
        for what, value in zip(("Mean", "Std", "Max", "Min"), moments(lengths)):
            out["%s Packet Length %s" % (name, what)] = value
        out["%s IAT Total" % name] = sum(between)
        for what, value in zip(("Mean", "Std", "Max", "Min"), moments(between)):
            out["%s IAT %s" % (name, what)] = value
        out["%s Init Win Bytes" % name] = way[0][4] if way else 0
    for what, value in zip(("Mean", "Std", "Max", "Min"), moments(gaps(times))):
        out["Flow IAT " + what] = value
    for name, bit in (("FIN", FIN), ("SYN", SYN), ("RST", RST), ("PSH", PSH), ("ACK", ACK)):
        out[name + " Flag Count"] = sum(1 for r in rows if r[3] & bit)
    out["Fwd Act Data Pkts"] = sum(1 for r in ways[0] if r[2] > 0)
    if duration > 0:
        out["Flow Bytes/s"] = sum(r[2] for r in rows) * 1e6 / duration
        out["Flow Packets/s"] = count * 1e6 / duration
    out["Average Packet Size"] = sum(r[2] for r in rows) / count
    return out


def of_reference(flow):
    forward = flow.packets[0][1]
    return [(time, source == forward, p.payload, p.flags, p.window) for time, source, p in flow.packets]


def of_store(row):
    """Its stored packets: offset, direction, wire, IP, header and payload length, flags, window."""
    first = row["first_ns"] // 1000
    return [(first + offset // 1000, direction > 0, payload, flags, window)
            for offset, direction, _, _, _, payload, flags, window in row["stored"]]


def of_columns(row, names):
    """The same by the columns of /flows and flow20, which hold sums and logarithms; None: no such column."""
    at = dict(zip(names, row["features"]))
    n = sum(row["packets"])
    out = {"Flow Duration": (row["last_ns"] - row["first_ns"]) / 1000, "Total Fwd Packet": row["packets"][0],
           "Total Bwd packets": row["packets"][1], "Total Length of Fwd Packet": row["payload"][0],
           "Total Length of Bwd Packet": row["payload"][1], "Average Packet Size": sum(row["payload"]) / n,
           "Flow IAT Mean": math.expm1(at["log_iat_mean"]), "Flow IAT Max": math.expm1(at["log_iat_max"]),
           "Fwd IAT Mean": math.expm1(at["log_iat_mean_f"]), "Bwd IAT Mean": math.expm1(at["log_iat_mean_b"]),
           "SYN Flag Count": math.expm1(at["log_syn"]), "PSH Flag Count": at["psh_frac"] * n}
    if n > 2:  # the deviation of a sample from that of the population
        out["Flow IAT Std"] = math.expm1(at["log_iat_std"]) * math.sqrt((n - 1) / (n - 2))
    return out


def close(a, b, tolerance):
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))


def as_printed(ours, published):
    """Numbers from 1e7 on were printed with three digits."""
    rounded = published >= 1e7 and published % 1e5 == 0
    return abs(ours - published) <= 5e4 if rounded else close(ours, published, 1e-6)


def differing(ours, theirs, equal):
    return ["%s is %r, expected %r" % (name, ours[name], theirs[name]) for name in ours
            if name in theirs and not equal(ours[name], theirs[name])]


# ---------------------------------------------------------------- published rows
PUBLISHED = {"Total Fwd Packets": "Total Fwd Packet", "Total Backward Packets": "Total Bwd packets",
             "Total Length of Fwd Packets": "Total Length of Fwd Packet",
             "Total Length of Bwd Packets": "Total Length of Bwd Packet", "Flow Duration": "Flow Duration",
             "Fwd Packet Length Max": "Fwd Packet Length Max", "Bwd Packet Length Max": "Bwd Packet Length Max",
             "Flow IAT Mean": "Flow IAT Mean", "Flow IAT Std": "Flow IAT Std", "Flow IAT Max": "Flow IAT Max",
             "Flow IAT Min": "Flow IAT Min", "Fwd IAT Total": "Fwd IAT Total", "Fwd IAT Mean": "Fwd IAT Mean",
             "Fwd IAT Std": "Fwd IAT Std", "Bwd IAT Total": "Bwd IAT Total", "Bwd IAT Mean": "Bwd IAT Mean",
             "Bwd IAT Std": "Bwd IAT Std"}


def endpoint_of(address, port):
    return ["00" * 10 + "ffff" + bytes(int(part) for part in address.split(".")).hex(), int(float(port))]


def minute_of(text):
    """6/7/2017 10:15, local, of 6 July: minutes of the day in UTC."""
    hours, minutes = re.search(r"(\d+):(\d+)", text).groups()
    return int(hours) * 60 + int(minutes) + UTC_OFFSET_MINUTES


def compare_published(rows, path):
    """Published rows that begin a connection: our packets up to its first FIN give their numbers."""
    by_ends = {}
    for row in rows:
        by_ends.setdefault((tuple(row["source"]), tuple(row["destination"])), []).append(row)
    equal, different = 0, []
    with open(path, encoding="latin1", newline="") as file:
        for line in csv.DictReader(file):
            ends = (tuple(endpoint_of(line["Source IP"], line["Source Port"])),
                    tuple(endpoint_of(line["Destination IP"], line["Destination Port"])))
            theirs = {ours: float(line[name]) for name, ours in PUBLISHED.items()}
            found = []
            for row in by_ends.get(ends, []):
                if row["first_ns"] // 10**9 // 60 % 1440 != minute_of(line["Timestamp"]):
                    continue
                stored = of_store(row)
                cut = next((k + 1 for k, p in enumerate(stored) if p[3] & FIN), None)
                if cut is None or not stored[0][3] & SYN:
                    continue
                if theirs["Flow Duration"] < 1000 and stored[cut - 1][0] - stored[0][0] >= 1000:
                    continue  # the row of what follows the FIN
                found = [differing(definitions(stored[:cut]), theirs, as_printed)]
            if found and found[0]:
                different.append("%s %s: %s" % (line["Flow ID"], line["Timestamp"], "; ".join(found[0])))
            equal += bool(found) and not found[0]
    return equal, different


def main():
    store, capture = sys.argv[1:3]
    rows = [row for of_input in compare.stored_rows(store).values() for row in of_input]
    names = compare.feature_names(store)
    expected = {(protocol, source, destination, flow.first): flow for protocol, source, destination, flow in
                flows_of(capture)}
    if len(rows) != len(expected):
        sys.exit("%d flows, expected %d" % (len(rows), len(expected)))
    for row in rows:
        key = (row["protocol"], tuple(row["source"]), tuple(row["destination"]), row["first_ns"] // 1000)
        if key not in expected:
            sys.exit("unexpected flow %r" % (key, ))
        theirs = definitions(of_reference(expected[key]))
        wrong = differing(definitions(of_store(row)), theirs, lambda a, b: close(a, b, 1e-12))
        wrong += differing(of_columns(row, names), theirs, lambda a, b: close(a, b, 1e-5))
        if wrong:
            sys.exit("%r: %s" % (key, "; ".join(wrong)))
    print("%s: %d flows agree in %d columns" % (capture, len(rows), len(theirs)))
    if len(sys.argv) > 3:
        equal, different = compare_published(rows, sys.argv[3])
        print("%s: %d connections as published, %d not" % (sys.argv[3], equal, len(different)))
        print("\n".join(different[:10]))
        if equal < 100 or different:
            sys.exit(1)


if __name__ == "__main__":
    main()
