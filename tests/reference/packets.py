"""Captures to decoded packets, slowly and plainly: the reference that tests compare the capture room with.

Written from the formats' descriptions (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, the link type pages of
tcpdump.org, RFC 791, 8200, 9293, 768, 3032, 4448, 2516, 1661, 1042) and shares no code with src/. Does not recover from
damage: a damaged capture raises Damaged. Standard library only.
"""
import bz2
import gzip
import lzma
import struct
from collections import namedtuple

Record = namedtuple("Record", "time_ns captured wire link frame")
Packet = namedtuple(
    "Packet", "time_ns protocol source source_port destination destination_port ip_length payload header_length "
    "flags window sequence acknowledgement wire")


class Damaged(Exception):
    """The capture has bytes that are no record."""


class Unsupported(Exception):
    """Of another format or link type than this reference knows."""


class Skip(Exception):
    """Why a frame is no packet of a flow."""


# ---------------------------------------------------------------- files
def content(path):
    with open(path, "rb") as file:
        data = file.read()
    try:
        if data[:3] == b"\x1f\x8b\x08":
            return gzip.decompress(data)
        if data[:3] == b"BZh":
            return bz2.decompress(data)
        if data[:6] == b"\xfd7zXZ\0":
            return lzma.decompress(data)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise Damaged(str(error)) from error
    return data


def records(data):
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        return pcapng_records(data)
    for order in "<>":
        if magic in (struct.pack(order + "I", 0xA1B2C3D4), struct.pack(order + "I", 0xA1B23C4D)):
            return pcap_records(data, order)
    raise Unsupported("format")


def pcap_records(data, order):
    magic, major, minor, _, _, snap, link = struct.unpack_from(order + "IHHiIII", data)
    if (major, minor) != (2, 4):
        raise Unsupported("pcap version")
    unit = 1 if magic == 0xA1B23C4D else 1000
    header = struct.Struct(order + "IIII")
    at, end = 24, len(data)
    while at < end:
        if at + 16 > end:
            raise Damaged("cut off in a record header")
        seconds, fraction, captured, wire = header.unpack_from(data, at)
        if captured > max(snap, 262144) or fraction * unit >= 2000000000:
            raise Damaged("impossible record header")
        at += 16
        if at + captured > end:
            raise Damaged("cut off in a record")
        yield Record(seconds * 1000000000 + fraction * unit, captured, wire, link & 0xFFFF, data[at:at + captured])
        at += captured


def pcapng_records(data):
    at, order, interfaces = 0, "<", []
    while at < len(data):
        if len(data) - at < 12:
            raise Damaged("cut off in a block")
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            if data[at + 8:at + 12] == b"\x1a\x2b\x3c\x4d":
                order = ">"
            elif data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a":
                order = "<"
            else:
                raise Damaged("no byte order")
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or length % 4 or at + length > len(data):
            raise Damaged("impossible block length")
        if struct.unpack_from(order + "I", data, at + length - 4)[0] != length:
            raise Damaged("two lengths differ")
        body = data[at + 8:at + length - 4]
        if kind == 0x0A0D0D0A:
            interfaces = []
            if struct.unpack_from(order + "H", body, 4)[0] != 1:
                raise Damaged("section version")
        elif kind == 1:
            interfaces.append(pcapng_interface(body, order))
        elif kind in (2, 3, 6):
            yield pcapng_packet(kind, body, order, interfaces)
        at += length


def pcapng_interface(body, order):
    if len(body) < 8:
        raise Damaged("short interface")
    link, _, snap = struct.unpack_from(order + "HHI", body)
    ticks, offset, at = 10**6, 0, 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4:at + 4 + length]
        if code == 0 or len(value) < length:
            break
        if code == 9 and length == 1:
            ticks = 2**(value[0] & 127) if value[0] & 128 else 10**value[0]
        elif code == 14 and length == 8:
            offset = struct.unpack(order + "q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return link, snap, ticks, offset


def pcapng_packet(kind, body, order, interfaces):
    if kind == 3:
        if len(body) < 4 or not interfaces:
            raise Damaged("simple packet block")
        link, snap, _, _ = interfaces[0]
        wire = struct.unpack_from(order + "I", body)[0]
        captured = min(wire, snap or wire, len(body) - 4)
        return Record(0, captured, wire, link, body[4:4 + captured])
    if len(body) < 20:
        raise Damaged("short packet block")
    number, high, low, captured, wire = struct.unpack_from(order + "IIIII", body)
    if kind == 2:
        number = struct.unpack_from(order + "H", body)[0]
    if captured > len(body) - 20 or number >= len(interfaces):
        raise Damaged("packet block")
    link, _, ticks, offset = interfaces[number]
    time = (high << 32 | low) * 10**9 // ticks + offset * 10**9
    time = max(-2**63, min(2**63 - 1, time))
    return Record(time, captured, wire, link, body[20:20 + captured])


# ---------------------------------------------------------------- link layers
def need(frame, at, count, reason="link_truncated"):
    if at + count > len(frame):
        raise Skip(reason)


def u16(frame, at):
    return frame[at] << 8 | frame[at + 1]


def ethernet(frame, at):
    need(frame, at, 14)
    return ethertype(frame, at + 14, u16(frame, at + 12))


# Tags with an EtherType behind them: VN-Tag, E-Tag, Cisco's security group, redundant rings, replicated frames.
TAGS = {0x8926: 4, 0x893F: 6, 0x8909: 6, 0x892F: 4, 0xF1C1: 4}


def ethertype(frame, at, kind):
    if kind in (0x0800, 0x86DD):
        return at
    if kind in (0x8100, 0x88A8, 0x9100):
        need(frame, at, 4)
        return ethertype(frame, at + 4, u16(frame, at + 2))
    if kind in (0x8847, 0x8848):
        return mpls(frame, at)
    if kind == 0x8864:
        return pppoe(frame, at)
    if kind < 0x0600:
        return llc(frame, at)
    if kind in (0x8903, 0x88E7):  # FabricPath, provider backbone bridges
        tag = 2 if kind == 0x8903 else 4
        need(frame, at, tag)
        return ethernet(frame, at + tag)
    if kind in TAGS:
        need(frame, at, TAGS[kind] + 2)
        return ethertype(frame, at + TAGS[kind] + 2, u16(frame, at + TAGS[kind]))
    if kind == 0x6558:  # bridged
        return ethernet(frame, at)
    if kind == 0x22F3:  # TRILL: its options are counted in 4 bytes
        need(frame, at, 6)
        length = 6 + (u16(frame, at) >> 6 & 31) * 4
        need(frame, at, length)
        return ethernet(frame, at + length)
    if kind == 0x88E5:  # MACsec: encrypted or changed, or a tag of 6 or 14 bytes
        need(frame, at, 1)
        if frame[at] & 0x0C:
            raise Skip("link_unsupported")
        length = 14 if frame[at] & 0x20 else 6
        need(frame, at, length + 2)
        return ethertype(frame, at + length + 2, u16(frame, at + length))
    if kind == 0x894F:  # a service function chain
        need(frame, at, 8)
        length = (frame[at + 1] & 63) * 4
        need(frame, at, length)
        if frame[at + 3] == 3:
            return ethernet(frame, at + length)
        if frame[at + 3] in (1, 2):
            return at + length
    raise Skip("not_ip")


def llc(frame, at):
    if frame[at:at + 3] == b"\x06\x06\x03":
        return at + 3
    if len(frame) < at + 8 or frame[at:at + 5] != b"\xaa\xaa\x03\0\0" or frame[at + 5] not in (0, 0xF8):
        raise Skip("not_ip")
    kind = u16(frame, at + 6)
    if kind < 0x0600:
        raise Skip("not_ip")
    return ethertype(frame, at + 8, kind)


def mpls(frame, at):
    while True:
        need(frame, at, 4)
        bottom = frame[at + 2] & 1
        at += 4
        if bottom:
            break
    need(frame, at, 2)
    if frame[at] >> 4 in (4, 6):
        return at
    if frame[at] >> 4 == 1:
        raise Skip("not_ip")
    if frame[at:at + 2] == b"\0\0":
        need(frame, at, 4)
        at += 4
    return ethernet(frame, at)


def pppoe(frame, at):
    need(frame, at, 6)
    if frame[at] != 0x11 or frame[at + 1] != 0:
        raise Skip("not_ip")
    return ppp(frame, at + 6)


def ppp(frame, at):
    need(frame, at, 2)
    if frame[at] & 1:
        protocol, at = frame[at], at + 1
    else:
        protocol, at = u16(frame, at), at + 2
    if protocol in (0x21, 0x57):
        return at
    if protocol in (0x281, 0x283):
        return mpls(frame, at)
    raise Skip("link_unsupported" if protocol in (0x2D, 0x2F, 0xFD, 0x3D) else "not_ip")


def family(frame, at):
    need(frame, at, 4)
    either = {int.from_bytes(frame[at:at + 4], "big"), int.from_bytes(frame[at:at + 4], "little")}
    if either & {2, 10, 24, 28, 30} or u16(frame, at + 2) in (0x0800, 0x86DD):
        return at + 4
    raise Skip("not_ip")


def wlan(frame, at, padded=False):
    need(frame, at, 2)
    control, flags = frame[at], frame[at + 1]
    if control & 3:
        raise Skip("link_unsupported")
    if control >> 2 & 3 != 2 or control & 0x40:
        raise Skip("not_ip")
    length = 30 if flags & 3 == 3 else 24
    quality = length if control & 0x80 else None
    if control & 0x80:
        length += 6 if flags & 0x80 else 2
    if padded:
        length = (length + 3) // 4 * 4
    need(frame, at, length)
    aggregate = quality is not None and frame[at + quality] & 0x80
    if flags & 0x40 or frame[at + 22] & 15:
        raise Skip("link_unsupported")
    if not aggregate:
        return llc(frame, at + length)
    need(frame, at + length, 14)  # two addresses and a length
    if len(frame) - at - length > (14 + u16(frame, at + length + 12) + 3) // 4 * 4 + 4:
        raise Skip("link_unsupported")  # of several frames
    return llc(frame, at + length + 14)


def radiotap(frame, at):
    need(frame, at, 8)
    length = frame[at + 2] | frame[at + 3] << 8
    if length < 8:
        raise Skip("link_unsupported")
    need(frame, at, length)
    present, field = struct.unpack_from("<I", frame, at + 4)[0], 8
    word = present
    while word >> 31:
        if field + 4 > length:
            return wlan(frame, at + length)
        word = struct.unpack_from("<I", frame, at + field)[0]
        field += 4
    if present & 1:
        field = (field + 7) // 8 * 8 + 8
    padded = present & 2 and field < length and frame[at + field] & 0x20
    return wlan(frame, at + length, padded)


def typed(header, where):
    def decode(frame, at):
        need(frame, at, header)
        return ethertype(frame, at + header, u16(frame, at + where))
    return decode


LINKS = {
    0: family, 108: family, 1: ethernet, 12: lambda frame, at: at, 14: lambda frame, at: at,
    101: lambda frame, at: at, 228: lambda frame, at: at, 229: lambda frame, at: at, 51: pppoe,
    105: wlan, 113: typed(16, 14), 276: typed(20, 0), 127: radiotap
}
LINKS[9] = LINKS[50] = lambda frame, at: (ppp(frame, at + 2) if frame[at:at + 2] == b"\xff\x03" else
                                          typed(4, 2)(frame, at) if frame[at:at + 1] in (b"\x0f", b"\x8f") else
                                          ppp(frame, at))


# ---------------------------------------------------------------- network and transport
EXTENSIONS = {0, 43, 44, 51, 60, 135, 139, 140}


def decode(record):
    """A Packet, or Skip with the reason."""
    frame = record.frame
    if record.link not in LINKS:
        raise Unsupported("link type %d" % record.link)
    at = LINKS[record.link](frame, 0)
    need(frame, at, 1, "network_truncated")
    version = frame[at] >> 4
    if version == 4 and record.link != 229:
        network = ipv4(frame, at, record)
    elif version == 6 and record.link != 228:
        network = ipv6(frame, at, record)
    else:
        raise Skip("network_malformed")
    source, destination, protocol, ip_length, header, at = network
    room = ip_length - header
    if protocol == 6:
        if room < 20:
            raise Skip("transport_malformed")
        need(frame, at, 16, "transport_truncated")
        source_port, destination_port, sequence, acknowledgement = struct.unpack_from(">HHII", frame, at)
        bytes_ = (frame[at + 12] >> 4) * 4
        if bytes_ < 20 or bytes_ > room:
            raise Skip("transport_malformed")
        return Packet(record.time_ns, 6, source, source_port, destination, destination_port, ip_length, room - bytes_,
                      header + bytes_, frame[at + 13], u16(frame, at + 14), sequence, acknowledgement, record.wire)
    if protocol == 17:
        if room < 8:
            raise Skip("transport_malformed")
        need(frame, at, 4, "transport_truncated")
        return Packet(record.time_ns, 17, source, u16(frame, at), destination, u16(frame, at + 2), ip_length, room - 8,
                      header + 8, 0, 0, 0, 0, record.wire)
    raise Skip("protocol_other")


def behind_link(record, at):
    return max(record.wire, len(record.frame)) - at


def ipv4(frame, at, record):
    need(frame, at, 20, "network_truncated")
    header, total = (frame[at] & 15) * 4, u16(frame, at + 2)
    if total == 0:
        total = behind_link(record, at)
    if header < 20 or total < header:
        raise Skip("network_malformed")
    need(frame, at, header, "network_truncated")
    if u16(frame, at + 6) & 0x1FFF:
        raise Skip("fragment_later")
    mapped = b"\0" * 10 + b"\xff\xff"
    return mapped + frame[at + 12:at + 16], mapped + frame[at + 16:at + 20], frame[at + 9], total, header, at + header


def ipv6(frame, at, record):
    need(frame, at, 40, "network_truncated")
    payload, following = u16(frame, at + 4), frame[at + 6]
    total = 40 + payload if payload or following == 59 else behind_link(record, at)
    header = 40
    while following in EXTENSIONS:
        if at + header + 8 > len(frame):
            raise Skip("network_malformed" if header + 8 > total else "network_truncated")
        kind, one = following, frame[at + header + 1]
        length = 8 if kind == 44 else (one + 2) * 4 if kind == 51 else (one + 1) * 8
        if header + length > total:
            raise Skip("network_malformed")
        need(frame, at + header, length, "network_truncated")
        if kind == 44 and u16(frame, at + header + 2) & 0xFFF8:
            raise Skip("fragment_later")
        following = frame[at + header]
        header += length
    return frame[at + 8:at + 24], frame[at + 24:at + 40], following, total, header, at + header
