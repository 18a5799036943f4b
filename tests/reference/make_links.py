"""Captures of one and the same traffic behind the header of every link type: one pcap a link type, into a folder.

usage: make_links.py FOLDER

A file is named by its link type's number and a letter; mixed.erf has the same traffic as ERF records of several types. Each holds TCP, UDP and another protocol over IPv4 and IPv6, with
options and extension headers, first and later fragments, short frames, and a frame that is no IP where the link can have one.
"""
import os
import struct
import sys

MACS = b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02"
KNOWN_MACS = b"\0\x1b\x21\0\0\x01\0\x1b\x21\0\0\x02"  # tshark finds a pseudowire by them
WLAN = MACS + b"\x02\0\0\0\0\x03\x10\0"
SNAP = b"\xaa\xaa\x03\0\0\0"
IP, IP6, ARP = 0x0800, 0x86DD, 0x0806


def be(*values):
    return struct.pack(">%dH" % len(values), *values)


def tcp(flags, payload, options=b""):
    return struct.pack(">HHIIBBHHH", 40000, 443, 1000, 2000, (5 + len(options) // 4) << 4, flags, 8192, 0,
                       0) + options + payload


def udp(payload):
    return struct.pack(">HHHH", 40001, 9999, 8 + len(payload), 0) + payload


def ip4(protocol, body, fragment=0, options=b""):
    return struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(body), 7, fragment, 64, protocol,
                       0) + b"\x0a\0\0\x01\x0a\0\0\x02" + options + body


def ip6(protocol, body):
    return struct.pack(">IHBB", 0x60000000, len(body), protocol, 64) + b"\x20\x01\x0d\xb8" + bytes(
        11) + b"\x01" + b"\x20\x01\x0d\xb8" + bytes(11) + b"\x02" + body


# (is IPv6, packet)
TRAFFIC = [
    (False, ip4(6, tcp(2, b"", b"\x02\x04\x05\xb4"))),
    (False, ip4(6, tcp(0x18, b"x" * 60))),
    (False, ip4(6, tcp(0x11, b""), options=b"\x01" * 8)),
    (False, ip4(17, udp(b"y" * 50))),
    (False, ip4(17, udp(b"y" * 64), fragment=0x2000)),
    (False, ip4(17, b"y" * 64, fragment=0x0009)),
    (False, ip4(1, b"\x08\0\0\0\0\x01\0\x01" + b"z" * 48)),
    (True, ip6(6, tcp(0x12, b""))),
    (True, ip6(17, udp(b"y" * 50))),
    (True, ip6(0, b"\x06\0\x01\x04\0\0\0\0" + tcp(0x10, b"x" * 30))),
    (True, ip6(60, b"\x2c\0\x01\x04\0\0\0\0" + b"\x11\0\0\x01\0\0\0\x09" + udp(b"y" * 40))),
    (True, ip6(44, b"\x11\0\0\x40\0\0\0\x09" + b"y" * 40)),
    (True, ip6(58, b"\x80\0\0\0\0\x01\0\x01" + b"z" * 32)),
]


def typed(before, after=b""):
    """A header with an EtherType in it."""
    return lambda v6, p: before + be(IP6 if v6 else IP) + after + p


def by_version(v4, v6):
    return lambda is6, p: (v6 if is6 else v4) + p


def nflog(order):

    def make(v6, p):
        head = bytes([10 if v6 else 2, 0, 0, 5])
        values = [(1, b"\x08\0\x01\0"), (10, b"out:\0"), (9, p)]
        return head + b"".join(
            struct.pack(order + "HH", len(v) + 4, t) + v + bytes(-len(v) % 4) for t, v in values)

    return make


def pktap(v6, p):
    frame = MACS + be(IP6 if v6 else IP) + p
    return struct.pack("<III", 108, 1, 1) + b"en0" + bytes(108 - 15) + frame


def aggregate(v6, p):
    body = SNAP + be(IP6 if v6 else IP) + p
    return b"\x88\x01\0\0" + WLAN + b"\x80\0" + MACS + be(len(body)) + body


def dot3(v6, p):
    body = SNAP + be(IP6 if v6 else IP) + p
    return MACS + be(len(body)) + body


ETHERNET = typed(MACS)


def inside(head):
    """Ethernet behind a header."""
    return lambda v6, p: head + ETHERNET(v6, p)


TR = b"\x10\x40" + MACS
LINKS = {
    "1a": ETHERNET, "1b": dot3, "1c": typed(MACS + be(0x8100, 5)), "1d": typed(MACS + be(0x88A8, 5, 0x8100, 6)),
    "1e": typed(MACS + be(0x9100, 5, 0x9100, 6, 0x8100, 7)), "1f": by_version(*[MACS + be(0x8847, 1, 0x0140)] * 2),
    "1g": by_version(*[MACS + be(0x8847, 1, 0x0040, 2, 0x0140)] * 2), "1h": lambda v6, p: MACS + be(0x8847, 1, 0x0140, 0, 0) + KNOWN_MACS + be(IP6 if v6 else IP) + p,
    "1i": lambda v6, p: MACS + be(0x8864, 0x1100, 1, len(p) + 2, 0x57 if v6 else 0x21) + p,
    "1j": lambda v6, p: MACS + be(0x8903, 0x0120) + ETHERNET(v6, p) + bytes(4), "1k": inside(MACS + be(0x88E7, 0, 5)),
    "1l": typed(MACS + be(0x8926, 1, 2)), "1m": typed(MACS + be(0x893F, 0, 5, 0)),
    "1n": typed(MACS + be(0x8909, 0x0101, 1, 9)), "1t": typed(MACS + be(0x892F, 60, 7)),
    "1u": typed(MACS + be(0xF1C1, 0, 7)),
    "1o": by_version(MACS + be(0x894F, 0x0002, 0x0201, 0, 1), MACS + be(0x894F, 0x0002, 0x0202, 0, 1)),
    "1p": inside(MACS + be(0x894F, 0x0006, 0x0103, 0, 1) + bytes(16)),
    "1q": inside(MACS + be(0x22F3, 0x0005, 1, 2)), "1r": inside(MACS + be(0x6558)),
    "1s": typed(MACS + be(0x88E5, 0, 1, 1)),
    "0a": by_version(struct.pack("<I", 2), struct.pack("<I", 30)),
    "0b": by_version(struct.pack(">I", 2), struct.pack(">I", 24)),
    "108a": by_version(struct.pack(">I", 2), struct.pack(">I", 24)), "6a": lambda v6, p: TR + SNAP + be(IP6 if v6 else IP) + p,
    "6b": lambda v6, p: b"\x10\x40" + MACS[:6] + b"\x82" + MACS[7:] + b"\x06\x30\0\x11\0\x20" + SNAP + be(IP6 if v6 else IP) + p,
    "7a": by_version(b"\x01\x02\xd4\0\0\x01", b"\x01\x02\xc4\0\0\x01"), "7b": by_version(b"\x01\x02\xf0", b"\x01\x02\xf0"),
    "129a": by_version(b"\x01\x02\0\0\xd4\0\0\x01", b"\x01\x02\0\0\xc4\0\0\x01"),
    "129b": by_version(b"\x01\x02\0\0\xf0", b"\x01\x02\0\0\xf0"),
    "8a": by_version(bytes(16), bytes(16)), "9a": by_version(b"\0\x21", b"\0\x57"),
    "9b": by_version(b"\xff\x03\0\x21", b"\xff\x03\0\x57"), "50a": by_version(b"\xff\x03\0\x21", b"\xff\x03\0\x57"),
    "51a": lambda v6, p: be(0x1100, 1, len(p) + 2, 0x57 if v6 else 0x21) + p, "10a": typed(b"\x50" + MACS + SNAP),
    "100a": typed(SNAP), "101a": by_version(b"", b""), "104a": typed(b"\x0f\0"), "105a": typed(b"\x08\x01\0\0" + WLAN + SNAP),
    "105b": typed(b"\x88\x02\0\0" + WLAN + b"\0\0" + SNAP), "105c": aggregate,
    "106a": typed(SNAP), "106b": by_version(b"", b""), "107a": by_version(b"\x18\x41\x03\xcc", b"\x18\x41\x03\x8e"),
    "107b": typed(b"\x18\x41\x03\0\x80\0\0\0"), "107c": typed(b"\x18\x41"), "107d": inside(b"\x18\x41\x03\0\x80\0\x80\xc2\0\x07"),
    "109a": by_version(struct.pack("<III", 2, 1, 2), struct.pack("<III", 24, 1, 2)),
    "113a": typed(be(0, 1, 6) + MACS[:6] + b"\0\0"), "113b": typed(be(0, 1, 6) + MACS[:6] + b"\0\0" + be(0x8100, 5)),
    "276a": lambda v6, p: be(IP6 if v6 else IP, 0, 0, 3, 1) + b"\0\x06" + MACS[:6] + b"\0\0" + p,
    "117a": by_version(b"\x3d\x02" + bytes(62), b"\x3d\x18" + bytes(62)),
    "117b": by_version(b"\x64\x02" + bytes(98), b"\x64\x18" + bytes(98)),
    "119a": typed(struct.pack("<II", 0x44, 144) + bytes(136) + b"\x08\x01\0\0" + WLAN + SNAP),
    "122a": typed(b"\x10\0" + MACS[:6] + b"\x10\0" + MACS[6:] + SNAP), "123a": typed(b"\x02\0\0\x64" + SNAP),
    "123b": inside(b"\x01\0\0\x64\0\x01"), "127a": typed(b"\0\0\x08\0\0\0\0\0" + b"\x08\x01\0\0" + WLAN + SNAP),
    "127b": typed(b"\0\0\x09\0\x02\0\0\0\x20" + b"\x88\x01\0\0" + WLAN + b"\0\0\0\0" + SNAP),
    "138a": typed(bytes(16)), "163a": typed(struct.pack(">II", 0x80211001, 64) + bytes(56) + b"\x08\x01\0\0" + WLAN + SNAP),
    "166a": by_version(b"\0\x03\0\x21", b"\x01\x03\0\x57"), "192a": typed(struct.pack("<BBHI", 0, 0, 8, 1) + MACS),
    "204a": by_version(b"\0\xff\x03\0\x21", b"\x01\xff\x03\0\x57"), "205a": typed(b"\x01\x0f\0"),
    "206a": by_version(b"\x01\x18\x41\x03\xcc", b"\x01\x18\x41\x03\x8e"),
    "226a": lambda v6, p: struct.pack(">BBHIIIII", 1, 26 if v6 else 2, 0, len(p), 1, 0, 0, 0) + p, "228a": lambda v6, p: p, "229a": lambda v6, p: p,
    "239a": nflog("<"), "239b": nflog(">"), "240a": lambda v6, p: b"\0\x04\0\0" + ETHERNET(v6, p) + bytes(4),
    "241a": lambda v6, p: b"\0\x04\0\0" + b"\x55" * 7 + b"\xd5" + ETHERNET(v6, p) + bytes(4),
    "242a": typed(bytes(40), b"\0\0"), "258a": pktap, "281a": typed(MACS + bytes(4)), "282a": inside(bytes(4)),
    "284a": typed(MACS + bytes(4)), "285a": typed(MACS + b"\xda\xda\0\0" + bytes(4)),
}


def erf(number, kind, head, frame, captured):
    """A record: filled up to 8 bytes, the wire length of Ethernet with its check sum."""
    ethernet = kind & 0x7F in (2, 11, 16, 20)
    body = head + (b"\0\0" if ethernet else b"") + frame[:captured]
    body += bytes(-len(body) % 8)
    stamp = (1500000000 + number << 32) + number * 4295 * 1000
    return struct.pack("<Q", stamp) + struct.pack(">BBHHH", kind, 4, 16 + len(body), 0,
                                                  len(frame) + (4 if ethernet else 0)) + body


def write_erf(path):
    extension = b"\x83" + bytes(7) + b"\x03" + bytes(7)
    with open(path, "wb") as file:
        for number, (v6, packet) in enumerate(TRAFFIC * 40):
            hdlc = b"\x0f\0" + be(IP6 if v6 else IP) + packet
            whole = len(packet) + 14
            file.write(erf(number, 2, b"", ETHERNET(v6, packet), whole))
            file.write(erf(number, 0x82, extension, ETHERNET(v6, packet), 14 + 60))
            file.write(erf(number, 16, b"", ETHERNET(v6, packet), whole))
            file.write(erf(number, 1, b"", hdlc, whole))
            file.write(erf(number, 23 if v6 else 22, b"", packet, whole))
            if number % 9 == 0:
                file.write(struct.pack("<Q", 0) + struct.pack(">BBHHH", 48, 0, 24, 0, 8) + bytes(8))


def main():
    folder = sys.argv[1]
    write_erf(os.path.join(folder, "mixed.erf"))
    for name, make in LINKS.items():
        link = int(name.rstrip("abcdefghijklmnopqrstuvwxyz"))
        order = ">" if name == "239b" else "<"  # of the machine that wrote it
        with open(os.path.join(folder, name + ".pcap"), "wb") as file:
            file.write(struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))
            for number, (v6, packet) in enumerate(TRAFFIC):
                if (name in ("228a", "7b", "106b", "129b") and v6) or (name == "229a" and not v6):
                    continue
                frame = make(v6, packet)
                for captured in (len(frame), frame.rindex(packet) + 60):
                    captured = min(captured, len(frame))
                    file.write(struct.pack(order + "IIII", 1500000000 + number, number, captured, len(frame)) + frame[:captured])


main()
