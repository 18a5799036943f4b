"""Random captures of everything that makes flows hard: tags and labels, PPPoE, chains of IPv6 extensions, fragments,
duplicates, reordering, clock steps, gaps at and beside every time-out, keys used again, flows joined in their middle, cut
and padded frames, headers that contradict themselves. The same seed gives the same bytes.

usage: make_odd.py [--seed N] [--packets N] [--link NAME] [--format pcap|pcapng] [--swapped] [--filler N] -o FILE

--filler N: N short records that are no IP are spread over the file, to reach the closing points cheaply.
"""
import argparse
import random
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
SECOND = 10**9
MACS = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
LINKS = {"ethernet": 1, "raw": 101, "null": 0, "loop": 108, "sll": 113, "sll2": 276, "radiotap": 127, "wlan": 105,
         "ppp": 9, "pppoe": 51}


class Conversation:
    """One key, as often as it is used."""

    def __init__(self, draw):
        self.v6 = draw.random() < 0.35
        hosts = [bytes([10, 0, 0, n]) for n in range(1, 7)]
        if self.v6:
            hosts = [b"\x20\x01\x0d\xb8" + bytes(11) + bytes([n]) for n in range(1, 5)]
        self.hosts = [draw.choice(hosts), draw.choice(hosts)]
        self.ports = [draw.choice([80, 443, 53, 5353, 40000, 40001]), draw.choice([80, 443, 53, 40000, 65535, 0])]
        self.protocol = draw.choice([6] * 8 + [17] * 4 + [1, 132])
        self.restart(draw)

    def restart(self, draw):
        self.numbers = [draw.getrandbits(32), draw.getrandbits(32)]
        midstream = draw.random() < 0.3
        self.script = [] if midstream else [(0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0)]
        self.script += [(draw.randrange(2), ACK | draw.choice([0, PSH]), draw.choice([0, 1, 5, 100, 1400]))
                        for _ in range(draw.randrange(12))]
        first = draw.randrange(2)
        close = draw.random()
        if close < 0.5:
            self.script += [(first, FIN | ACK, draw.choice([0, 3])), (1 - first, ACK, 0), (1 - first, FIN | ACK, 0),
                            (first, ACK, 0)]
        elif close < 0.7:
            self.script += [(first, RST | draw.choice([0, ACK]), 0)]
        self.script += [(draw.randrange(2), draw.choice([ACK, ACK, RST, FIN | ACK, SYN]), draw.choice([0, 7]))
                        for _ in range(draw.choice([0, 0, 1, 3]))]

    def next(self, draw):
        """(sender, flags, payload bytes, sequence, acknowledgement)"""
        if not self.script:
            self.restart(draw)
            return self.next(draw)
        sender, flags, length = self.script.pop(0)
        if draw.random() < 0.03:
            flags = draw.randrange(256)
        number = self.numbers[sender]
        self.numbers[sender] = (number + length + (flags & SYN != 0) + (flags & FIN != 0)) % 2**32
        return sender, flags, length, number, self.numbers[1 - sender]


def transport(talk, sender, flags, length, number, acknowledgement, draw):
    ports = struct.pack(">HH", talk.ports[sender], talk.ports[1 - sender])
    payload = bytes(length)
    if talk.protocol == 6:
        options = bytes([1]) * draw.choice([0, 0, 4, 12, 40])
        offset = 5 + len(options) // 4
        if draw.random() < 0.01:
            offset = draw.choice([0, 4, 15])
        return ports + struct.pack(">IIBBHHH", number, acknowledgement, offset << 4, flags, draw.getrandbits(16), 0,
                                   0) + options + payload
    if talk.protocol == 17:
        return ports + struct.pack(">HH", 8 + length, 0) + payload
    return struct.pack(">BBHI", 8, 0, 0, 1) + payload


def ipv4(talk, sender, body, draw):
    options = bytes([1]) * draw.choice([0, 0, 0, 4, 40])
    header, fragment = 5 + len(options) // 4, 0
    chance = draw.random()
    if chance < 0.04:
        fragment = 0x2000  # a first fragment
    elif chance < 0.08:
        fragment = draw.choice([0x2001, 0x0064, 0x1FFF])
    total = header * 4 + len(body)
    if draw.random() < 0.02:
        total = draw.choice([0, 0, 19, header * 4 - 1, header * 4, total + 100])
    if draw.random() < 0.01:
        header = draw.choice([0, 4, 15])
    return struct.pack(">BBHHHBBH", 0x40 | header, 0, total, 7, fragment, 64, talk.protocol, 0) + talk.hosts[
        sender] + talk.hosts[1 - sender] + options + body


def ipv6(talk, sender, body, draw):
    chain = [draw.choice([0, 43, 44, 51, 60, 135, 139, 140]) for _ in range(draw.choice([0, 0, 0, 1, 2, 5]))]
    following, rest = talk.protocol, body
    for kind in reversed(chain):
        size = draw.choice([1, 1, 2, 5])
        if kind == 44:
            offset = draw.choice([0, 0, 1, 0x10, 0xFFF9])  # later fragments among them
            extension = struct.pack(">BBHI", following, draw.getrandbits(8), offset, 9)
        elif kind == 51:
            size = draw.choice([1, 4, 7])
            extension = bytes([following, size]) + bytes((size + 2) * 4 - 2)
        else:
            extension = bytes([following, size - 1]) + bytes(size * 8 - 2)
        rest, following = extension + rest, kind
    length = len(rest)
    if draw.random() < 0.02:
        length = draw.choice([0, 4, max(0, length - 1), length + 9])
    return struct.pack(">IHBB", 0x60000000, length, following, 64) + talk.hosts[sender] + talk.hosts[1 - sender] + rest


def over_ethernet(packet, kind, draw):
    """EtherType and the bytes behind it."""
    choice = draw.random()
    if choice < 0.1:
        labels = b"".join(struct.pack(">I", draw.getrandbits(19) << 12) for _ in range(draw.randrange(3)))
        labels += struct.pack(">I", 0x00010140)
        if draw.random() < 0.3:
            packet = draw.choice([b"", bytes(4)]) + MACS + struct.pack(">H", kind) + packet
            if draw.random() < 0.1:
                packet = b"\x10\0\0\x21" + packet  # an associated channel
        kind, packet = draw.choice([0x8847, 0x8848]), labels + packet
    elif choice < 0.2:
        protocol = draw.choice([b"\0\x57", b"\x57"]) if kind == 0x86DD else draw.choice([b"\0\x21", b"\x21"])
        code = 0 if draw.random() < 0.9 else 9
        protocol = protocol if draw.random() < 0.95 else draw.choice([b"\xc0\x21", b"\0\xfd"])
        kind, packet = 0x8864, struct.pack(">BBHH", 0x11, code, 1, len(packet) + 2) + protocol + packet
    elif choice < 0.25:
        kind = draw.choice([0x0806, 0x88CC, 0x05FF, 0x0600, 0x8863])
    for _ in range(draw.choice([0, 0, 0, 1, 2, 4])):
        kind, packet = draw.choice([0x8100, 0x88A8, 0x9100]), struct.pack(">HH", draw.getrandbits(12), kind) + packet
    if draw.random() < 0.05:
        packet = b"\xaa\xaa\x03\0\0" + draw.choice([b"\0", b"\xf8", b"\x01"]) + struct.pack(">H", kind) + packet
        kind = min(len(packet), 1500)
    return kind, packet


def wlan(packet, kind, draw):
    quality, ways = draw.random() < 0.5, draw.choice([1, 2, 3, 0])
    flags = ways | (0x40 if draw.random() < 0.05 else 0)
    control = 0x08 | (0x80 if quality else 0) | (0x40 if draw.random() < 0.03 else 0)
    if draw.random() < 0.05:
        control = draw.choice([0x80, 0xB4, 0x09])
    header = bytes([control, flags, 0, 0]) + MACS + bytes(6) + struct.pack("<H", draw.choice([0x10] * 20 + [0x11]))
    header += bytes(6) if ways == 3 else b""
    header += b"\0\0" if quality else b""
    return header, b"\xaa\xaa\x03\0\0\0" + struct.pack(">H", kind) + packet


def frame_of(packet, v6, link, draw):
    kind = 0x86DD if v6 else 0x0800
    if link == "raw":
        return packet
    if link in ("null", "loop"):
        family = draw.choice([10, 24, 28, 30]) if v6 else 2
        family = family if draw.random() < 0.95 else 7
        order = ">" if link == "loop" else draw.choice("<>")
        return struct.pack(order + "I", family) + packet
    if link in ("ppp", "pppoe"):
        protocol = draw.choice([b"\0\x57", b"\x57"]) if v6 else draw.choice([b"\0\x21", b"\x21"])
        if link == "pppoe":
            return struct.pack(">BBHH", 0x11, 0, 1, len(packet) + 2) + protocol + packet
        return draw.choice([b"", b"\xff\x03"]) + protocol + packet
    if link in ("wlan", "radiotap"):
        header, body = wlan(packet, kind, draw)
        if link == "wlan":
            return header + body
        padded = draw.random() < 0.3
        fields = draw.choice([(0x00, b""), (0x02, b"\0"), (0x03, bytes(8) + b"\0")])
        if padded:
            fields = (0x03, bytes(8) + b"\x20")
            header += bytes(-len(header) % 4)
        return struct.pack("<BBHI", 0, 0, 8 + len(fields[1]), fields[0]) + fields[1] + header + body
    kind, packet = over_ethernet(packet, kind, draw)
    if link == "sll":
        return struct.pack(">HHH8sH", 0, 1, 6, MACS[:6], kind) + packet
    if link == "sll2":
        return struct.pack(">HHIHBB8s", kind, 0, 2, 1, 0, 6, MACS[:6]) + packet
    frame = MACS + struct.pack(">H", kind) + packet
    return frame + bytes(draw.choice([0, 0, max(0, 60 - len(frame))]))


STEPS = [0, 0, 1, 1000, 10**6, 10**6, 3 * 10**7, 3 * 10**7, SECOND // 2, SECOND]
LONG_STEPS = [5 * SECOND, 5 * SECOND + 1000, 119 * SECOND, 120 * SECOND - 1000, 120 * SECOND, 121 * SECOND, 300 * SECOND,
              1800 * SECOND, 1799 * SECOND]


def packets(options, draw):
    """(time in ns, frame, wire length), as they lie in the file."""
    talks = [Conversation(draw) for _ in range(max(4, options.packets // 60))]
    time, memory = 1500000000 * SECOND, []
    for _ in range(options.packets):
        chance = draw.random()
        if chance < 0.008:
            time += draw.choice(LONG_STEPS)
        elif chance < 0.018:
            time -= draw.choice([1000, SECOND, 4 * SECOND, 60 * SECOND, 200 * SECOND])
        else:
            time += draw.choice(STEPS)
        talk = talks[min(int(draw.expovariate(1 / 8)), len(talks) - 1)]
        sender, flags, length, number, acknowledgement = talk.next(draw)
        body = transport(talk, sender, flags, length, number, acknowledgement, draw)
        packet = (ipv6 if talk.v6 else ipv4)(talk, sender, body, draw)
        frame = frame_of(packet, talk.v6, options.link, draw)
        wire = len(frame)
        if draw.random() < 0.1:
            frame = frame[:draw.randrange(len(frame) + 1)]
        elif draw.random() < 0.2:
            frame = frame[:96]
        memory = memory[-8:] + [(frame, wire)]
        stamp = time if draw.random() < 0.95 else time - draw.choice([1000, 10**6, 10**8])
        yield stamp, frame, wire
        if draw.random() < 0.05:  # a duplicate of a packet not long ago
            frame, wire = draw.choice(memory)
            yield time + draw.choice([0, 1000]), frame, wire


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--packets", type=int, default=2000)
    parser.add_argument("--link", choices=sorted(LINKS), default="ethernet")
    parser.add_argument("--format", choices=["pcap", "pcapng"], default="pcap")
    parser.add_argument("--swapped", action="store_true")
    parser.add_argument("--filler", type=int, default=0)
    parser.add_argument("-o", dest="output", required=True)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    order = ">" if options.swapped else "<"
    made = list(packets(options, draw))
    each, more = divmod(options.filler, len(made))
    none = b"" if options.link != "null" else bytes(4)
    with open(options.output, "wb") as file:
        if options.format == "pcap":
            file.write(struct.pack(order + "IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, LINKS[options.link]))
        else:
            file.write(struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
            option = struct.pack(order + "HHBxxxHH", 9, 1, 9, 0, 0)
            file.write(struct.pack(order + "IIHHI", 1, 32, LINKS[options.link], 0, 262144) + option +
                       struct.pack(order + "I", 32))

        def record(time, frame, wire):
            if options.format == "pcap":
                return struct.pack(order + "IIII", time // SECOND, time % SECOND, len(frame), wire) + frame
            body = struct.pack(order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(frame), wire) + frame
            body += bytes(-len(body) % 4)
            return struct.pack(order + "II", 6, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

        for index, (time, frame, wire) in enumerate(made):
            file.write(record(time, frame, wire))
            if options.filler:
                file.write(record(time, none, 60) * (each + (index < more)))


main()
