"""Packets to flows, slowly and plainly: the reference that tests compare `wiresweep extract` with.

Written from DESIGN, "Rules that fix the result", and the definitions of the two vectors; shares no code with src/.

Used by compare.py.
"""
import math
from fractions import Fraction

import packets

CLOSING_INTERVAL = 2**20
LINGER = 5 * 10**9
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Flow:

    def __init__(self, ordinal, packet):
        self.ordinal = ordinal
        self.first = self.newest = packet.time_ns
        self.packets = []  # (offset, +1 low endpoint sends or -1, packet)
        self.end = None  # how it ended, once it has
        self.ended_at = None  # by RST or FIN: time of that packet
        self.fin = {}  # sender: sequence number behind its FIN
        self.fin_order = []
        self.syn_sender = None

    def add(self, sender, packet):
        self.packets.append((packet.time_ns - self.first, sender, packet))
        self.newest = max(self.newest, packet.time_ns)
        if self.syn_sender is None and packet.flags & SYN:
            self.syn_sender = -sender if packet.flags & ACK else sender
        if packet.protocol == 6 and self.ended_at is None:
            self.watch(sender, packet)

    def watch(self, sender, packet):
        if packet.flags & RST:
            self.end, self.ended_at = "rst", packet.time_ns
            return
        if packet.flags & FIN:
            if sender not in self.fin_order:
                self.fin_order.append(sender)
            length = packet.payload + 1 + (1 if packet.flags & SYN else 0)
            self.fin[sender] = (packet.sequence + length) % 2**32
        if len(self.fin_order) == 2 and sender == self.fin_order[0] and packet.flags & ACK:
            if (packet.acknowledgement - self.fin[self.fin_order[1]]) % 2**32 < 2**31:
                self.end, self.ended_at = "fin", packet.time_ns


class Table:

    def __init__(self, idle, active):
        self.idle, self.active = idle, active
        self.live = {}
        self.over = []  # a packet of their key came too late for them
        self.newest = None
        self.negative_gaps = 0
        self.rows = []

    def belongs(self, flow, packet):
        if flow.ended_at is not None:
            return not packet.flags & SYN and packet.time_ns - flow.ended_at <= LINGER
        if packet.time_ns - flow.newest >= self.idle:
            flow.end = "idle"
        elif packet.time_ns >= flow.newest and packet.time_ns - flow.first >= self.active:
            flow.end = "active"
        return flow.end is None

    def add(self, ordinal, packet):
        ends = [(packet.source, packet.source_port), (packet.destination, packet.destination_port)]
        sender = 1 if ends[0] <= ends[1] else -1
        key = (packet.protocol, min(ends), max(ends))
        flow = self.live.get(key)
        if flow is not None and not self.belongs(flow, packet):
            self.over.append((key, flow))
            flow = None
        if flow is None:
            flow = self.live[key] = Flow(ordinal, packet)
        if packet.time_ns < flow.newest:
            self.negative_gaps += 1
        flow.add(sender, packet)
        self.newest = packet.time_ns if self.newest is None else max(self.newest, packet.time_ns)

    def close(self, ends):
        leaving = self.over
        self.over = []
        for key, flow in list(self.live.items()):
            if flow.ended_at is not None:
                gone = ends or self.newest - flow.ended_at > LINGER
            elif self.newest - flow.newest >= self.idle:
                flow.end, gone = "idle", True
            else:
                gone = ends
                flow.end = "input" if ends else None
            if gone:
                leaving.append((key, flow))
                del self.live[key]
        self.rows += sorted(leaving, key=lambda pair: pair[1].ordinal)


def log1p(value):
    return math.log1p(float(value))


def deviation(values):
    """Of the whole, not a sample; exact up to the root."""
    count, total = len(values), sum(values)
    return math.sqrt(count * sum(v * v for v in values) - total * total) / count if count else 0.0


def gaps(times):
    """In ns: what each packet but the first adds to the newest time before it."""
    out, newest = [], times[0] if times else 0
    for time in times[1:]:
        out.append(max(0, time - newest))
        newest = max(newest, time)
    return out


def mean(values):
    return Fraction(sum(values), len(values)) if values else 0


def flow20(flow, forward):
    everything = flow.packets
    sides = [[p for p in everything if p[1] == forward], [p for p in everything if p[1] != forward]]
    lengths = [[p[2].ip_length for p in side] for side in sides]
    total = sum(lengths[0]) + sum(lengths[1])
    all_gaps = gaps([p[0] for p in everything])
    duration = flow.newest - flow.first
    flags = [p[2].flags for p in everything]
    out = [log1p(Fraction(duration, 1000))]
    out += [log1p(len(side)) for side in sides] + [log1p(sum(side)) for side in lengths]
    for side in lengths:
        out += [float(mean(side) / 1500), deviation(side) / 1500]
    out += [max(lengths[0] + lengths[1]) / 1500]
    out += [log1p(mean(all_gaps) / 1000), log1p(deviation(all_gaps) / 1000), log1p(max(all_gaps, default=0) / 1000)]
    out += [log1p(mean(gaps([p[0] for p in side])) / 1000) for side in sides]
    out += [log1p(len(everything) / (duration / 1e9 + 0.001))]
    out += [(sum(lengths[0]) - sum(lengths[1])) / total if total else 0.0]
    out += [log1p(sum(f & SYN != 0 for f in flags))]
    out += [log1p(sum((f & FIN != 0) + (f & RST != 0) for f in flags))]
    out += [sum(f & PSH != 0 for f in flags) / len(flags)]
    return out


def row(key, flow, direction, stored):
    forward = flow.packets[0][1]
    if direction == "syn" and flow.syn_sender is not None:
        forward = flow.syn_sender
    source, destination = (key[1], key[2]) if forward == 1 else (key[2], key[1])
    sides = [[p[2] for p in flow.packets if p[1] == forward], [p[2] for p in flow.packets if p[1] != forward]]
    return {
        "first_ordinal": flow.ordinal, "protocol": key[0], "first_ns": flow.first, "last_ns": flow.newest,
        "packets": [len(side) for side in sides], "bytes": [sum(p.ip_length for p in side) for side in sides],
        "payload": [sum(p.payload for p in side) for side in sides], "end": flow.end,
        "source": [source[0].hex(), source[1]], "destination": [destination[0].hex(), destination[1]],
        "features": flow20(flow, forward),
        "stored": [[offset, 1 if sender == forward else -1, p.wire, p.ip_length, p.header_length, p.payload, p.flags,
                    p.window] for offset, sender, p in flow.packets[:stored]]
    }


def flows_of(capture, options):
    """Rows in their order, and counters. Raises what packets.py raises where the capture cannot be read."""
    table = Table(round(options.idle * 10**9), round(options.active * 10**9))
    skipped, count = {}, 0
    for ordinal, record in enumerate(packets.records(packets.content(capture))):
        if ordinal and ordinal % CLOSING_INTERVAL == 0:
            table.close(False)
        count += 1
        try:
            table.add(ordinal, packets.decode(record))
        except packets.Skip as skip:
            skipped[str(skip)] = skipped.get(str(skip), 0) + 1
    table.close(True)
    rows = [row(key, flow, options.direction, options.stored) for key, flow in table.rows]
    return rows, {"records": count, "skipped": skipped, "negative_gaps": table.negative_gaps}
