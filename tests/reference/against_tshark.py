"""Compares what the capture room makes of captures (dump_packets) with tshark, record by record: time, lengths, which of them
are TCP or UDP, ports, IP length, payload, flags, window.

usage: against_tshark.py [--least RECORDS] CAPTURE...

Captures that either program refuses, or in which we count another number of records than tshark, are named. All others
are put one behind the other into one file for tshark, an interface each, since it starts slowly. Every difference is printed
but those that one of the rules below explains, which are counted by rule.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

FIELDS = ["frame.time_epoch", "frame.len", "frame.protocols", "ip.len", "ipv6.plen", "tcp.srcport", "tcp.dstport",
          "udp.srcport", "udp.dstport", "tcp.len", "tcp.flags", "tcp.window_size_value"]
OURS = ["number", "state", "time", "wire", "protocol", "source_port", "destination_port", "ip_length", "payload", "flags",
        "window", "link", "captured"]
# What libwiretap takes off the front of a frame: the link type's own header.
PSEUDO_HEADER = {123: 4, 166: 1, 204: 1, 205: 1, 206: 1}


def dump(path):
    run = subprocess.run([os.path.join(os.environ["WIRESWEEP_TOOLS"], "dump_packets"), path], capture_output=True, text=True)
    if run.returncode != 0:
        return None
    return [dict(zip(OURS, line.split("\t"))) for line in run.stdout.splitlines()]


def record_counts(paths):
    """What capinfos counts, of those that it can read to their end."""
    run = subprocess.run(["xargs", "-0", "capinfos", "-T", "-M", "-c", "-r"], input="\0".join(paths), capture_output=True,
                         text=True)
    damaged = set(re.findall(r'"([^"]*)"', run.stderr))
    counts = dict(line.rsplit("\t", 1) for line in run.stdout.splitlines() if "\t" in line)
    return {path: int(count) for path, count in counts.items() if path not in damaged and count.isdigit()}


def tshark(paths, folder):
    merged = os.path.join(folder, "merged.pcapng")
    # Several at a time: a command line and the table of open files have an end.
    for begin in range(0, len(paths), 400):
        subprocess.run(["mergecap", "-a", "-F", "pcapng", "-w", merged, *paths[begin:begin + 400]], check=True)
        options = ["ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams", "tcp.analyze_sequence_numbers"]
        command = ["tshark", "-n", "-r", merged, "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t"]
        command += [word for option in options for word in ("-o", option + ":FALSE")]
        command += [word for field in FIELDS for word in ("-e", field)]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        for line in lines.splitlines():
            record = dict(zip(FIELDS, line.split("\t")))
            # pcapng blocks that are no packets have no time, and it shows them too.
            if record["frame.time_epoch"]:
                yield record


def nanoseconds(text):
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))


def outermost(theirs):
    """IP version and protocol of the outermost IP header, by the names of the layers."""
    layers = theirs["frame.protocols"].split(":")
    if theirs["ip.len"] == "" and "ipv6" in layers:
        layers = [layer for layer in layers if layer != "ip"]  # it looked at the version there and turned to IPv6
    at = next((k for k, layer in enumerate(layers) if layer in ("ip", "ipv6")), None)
    if at is None:
        return None, None
    rest = [layer for layer in layers[at + 1:] if not layer.startswith("ipv6.") and layer not in ("ah", "mipv6", "hip", "shim6")]
    return layers[at], rest[0] if rest and rest[0] in ("tcp", "udp") else None


def compare(ours, theirs):
    """(what, our value, tshark's, the rule that explains it or None)"""
    protocols = theirs["frame.protocols"]
    time = nanoseconds(theirs["frame.time_epoch"])
    if int(ours["time"]) != time:
        wrapped = (int(ours["time"]) - time + 1000) % 2**32 < 2000
        yield "time", ours["time"], time, ("a time beyond 64 bits" if ours["time"] == str(2**63 - 1) and time >= 2**63 else
                                           "libwiretap wraps stamps of 2^32 ns within a second" if wrapped else None)
    header = PSEUDO_HEADER.get(int(ours["link"]), 0)
    if int(ours["wire"]) - header != int(theirs["frame.len"]):
        yield "wire length", ours["wire"], theirs["frame.len"], None
    version, transport = outermost(theirs)
    mine = {"6": "tcp", "17": "udp"}[ours["protocol"]] if ours["state"] == "ok" else None
    if mine != transport:
        yield "protocol", mine or ours["state"], transport, explain_protocol(ours, theirs, transport)
        return
    if mine is None:
        return
    no_length = (theirs["ip.len"] if version == "ip" else theirs["ipv6.plen"]) == "0"
    length = int(theirs["ip.len"]) if version == "ip" else int(theirs["ipv6.plen"] or 0) + 40
    if int(ours["ip_length"]) != length:
        yield "IP length", ours["ip_length"], length, "IP length 0: offload or jumbogram" if no_length else None
    for what, field in (("source_port", "srcport"), ("destination_port", "dstport")):
        if ours[what] != theirs[mine + "." + field]:
            yield what, ours[what], theirs[mine + "." + field], "IP length 0: offload or jumbogram" if no_length else None
    if mine != "tcp":
        return
    for what, left, right in (("flags", ours["flags"], theirs["tcp.flags"][-2:]),
                              ("window", ours["window"], theirs["tcp.window_size_value"])):
        if left != right:
            yield what, left, right, "IP length 0: offload or jumbogram" if no_length else None
    if ours["payload"] != theirs["tcp.len"]:
        beyond = int(ours["ip_length"]) > int(theirs["frame.len"]) - (14 if ours["link"] == "1" else 0)
        check_sum = ":cfp:" in protocols and int(ours["payload"]) - int(theirs["tcp.len"] or 0) == 4
        yield "payload", ours["payload"], theirs["tcp.len"], (
            "tshark counts no payload of fragments" if theirs["tcp.len"] == "" else
            "IP length 0: offload or jumbogram" if no_length else
            "tshark counts payload up to the wire length" if beyond else
            "tshark takes the end of a FabricPath frame for its check sum" if check_sum else None)


def explain_protocol(ours, theirs, transport):
    if transport is None:
        cut = ours["link"] in ("226", "239") and int(ours["captured"]) < int(ours["wire"])
        return "tshark shows nothing of a cut packet behind an IPNET or NFLOG header" if cut else None
    if ours["state"] == "transport_malformed" and (theirs["tcp.len"] == "" or theirs["tcp.flags"] == ""):
        return "tshark names the layer and stops in its header"
    if ours["state"] == "transport_truncated" and theirs[transport + ".dstport" if transport == "udp" else
                                                         "tcp.window_size_value"] == "":
        return "tshark names the layer and stops in its header"
    if ours["state"] == "network_malformed" and ours["link"] in ("228", "229"):
        return "the other IP on a link of IPv4 or IPv6 only"
    if ours["state"] == "link_unsupported" and "wlan_aggregate" in theirs["frame.protocols"]:
        return "802.11 aggregate of several frames"
    return None


def main():
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("--least", type=int, default=1)
    parser.add_argument("captures", nargs="+")
    options = parser.parse_args()
    counts = record_counts(options.captures)
    paths, ours, left_out = [], [], Counter()
    for path in options.captures:
        records = dump(path)
        if records is None or path not in counts:
            left_out["refused by us" if records is None else "refused by tshark"] += 1
            if records is None and path in counts:
                print("%s: refused by us, %d records for tshark" % (path, counts[path]))
        elif len(records) != counts[path]:
            left_out["another number of records"] += 1
            print("%s: %d records, tshark %d" % (path, len(records), counts[path]))
        else:
            paths.append(path)
            ours += [(path, record) for record in records]
    explained, wrong, count, total = Counter(), 0, Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        theirs = tshark(paths, folder)
        for path, record in ours:
            packet = next(theirs, None)
            if packet is None:
                sys.exit("tshark has fewer records")
            for what, left, right, rule in compare(record, packet):
                if rule:
                    explained[rule] += 1
                    continue
                wrong += 1
                if wrong <= 100:
                    print("%s: packet %s: %s: %s, tshark %s (%s)" % (path, record["number"], what, left, right,
                                                                   packet["frame.protocols"]))
            total += 1
            if record["state"] == "ok":
                count[record["protocol"]] += 1
                count["bytes"] += int(record["ip_length"])
        if next(theirs, None) is not None:
            sys.exit("tshark has more records")
    for rule, number in sorted(explained.items()):
        print("explained: %d: %s" % (number, rule))
    for rule, number in sorted(left_out.items()):
        print("left out: %d captures: %s" % (number, rule))
    print("%d captures, %d records, %d TCP, %d UDP, %d bytes of IP: %d differences" % (len(paths), total, count["6"],
                                                                                    count["17"], count["bytes"], wrong))
    sys.exit(1 if wrong or total < options.least else 0)


main()
