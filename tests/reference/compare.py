"""Compares a store of the program with the flows of the reference (flows.py), one by one and in their order.

usage: compare.py [--idle S] [--active S] [--direction first|syn] [--stored N] [--least N] STORE.h5 CAPTURE...

The store was extracted from these captures with --endpoints plain; captures that the program or the reference cannot read
are left out and named. Fewer than --least captures (1) compared are an error. Prints the first differences of each.
"""
import argparse
import csv
import io
import ipaddress
import json
import os
import re
import subprocess
import sys

import flows
import packets

COLUMNS = ["offset_ns", "direction", "wire_length", "ip_length", "header_length", "payload_length", "flags", "window"]


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def column(store, path):
    text = output_of("h5dump", "-y", "-w", "1", "-d", path, store)
    found = re.search(r"DATA \{(.*?)\}", text, re.S)
    return [int(word) for word in re.findall(r"-?\d+", found.group(1))] if found else []


def endpoint(text):
    """"10.0.0.1:80" or "[2001:db8::1]:80" as [hex of 16 bytes, port]."""
    host, port = text.rsplit(":", 1)
    raw = ipaddress.ip_address(host.strip("[]")).packed
    return [(b"\0" * 10 + b"\xff\xff" + raw if len(raw) == 4 else raw).hex(), int(port)]


def stored_rows(store):
    """Of each input, its rows."""
    starts = column(store, "/flows/packet_start")
    stored = list(zip(*(column(store, "/packets/" + name) for name in COLUMNS)))
    inputs = {}
    for index, line in enumerate(csv.DictReader(io.StringIO(output_of(os.environ["WIRESWEEP"], "export", "-q", store)))):
        names = list(line)
        inputs.setdefault(line["input"], []).append({
            "first_ordinal": int(line["first_ordinal"]), "protocol": int(line["protocol"]),
            "first_ns": int(line["first_ns"]), "last_ns": int(line["last_ns"]),
            "packets": [int(line["packets_forward"]), int(line["packets_backward"])],
            "bytes": [int(line["bytes_forward"]), int(line["bytes_backward"])],
            "payload": [int(line["payload_forward"]), int(line["payload_backward"])], "end": line["end"],
            "source": endpoint(line["source"]), "destination": endpoint(line["destination"]),
            "features": [float(line[name]) for name in names[names.index("log_dur"):]],
            "stored": [list(packet) for packet in stored[starts[index]:starts[index + 1]]]
        })
    return inputs


def feature_names(store):
    header = output_of(os.environ["WIRESWEEP"], "export", "-q", store).splitlines()[0]
    names = next(csv.reader([header]))
    return names[names.index("log_dur"):]


def brief(value, other):
    """Of lists, the first place where they differ."""
    if not isinstance(value, list):
        return value
    at = next((k for k, (a, b) in enumerate(zip(value, other)) if a != b), min(len(value), len(other)))
    return "%d values, [%d] %s" % (len(value), at, value[at] if at < len(value) else "none")


def same(name, left, right):
    if name != "features":
        return left == right
    return len(left) == len(right) and all(abs(a - b) <= 1e-6 * max(1, abs(a)) for a, b in zip(left, right))


def differences(ours, theirs):
    if len(ours) != len(theirs):
        yield "%d flows, reference %d" % (len(ours), len(theirs))
    for number, (left, right) in enumerate(zip(ours, theirs)):
        for name in right:
            if not same(name, left[name], right[name]):
                yield "flow %d, %s: %s, reference %s" % (number, name, brief(left[name], right[name]),
                                                         brief(right[name], left[name]))


def counter_differences(about, counters):
    skipped = {name: count for name, count in about["skipped"].items() if count}
    for name, ours, theirs in (("skipped", skipped, counters["skipped"]),
                               ("records", about["records"], counters["records"])):
        if ours != theirs:
            yield "%s: %s, reference %s" % (name, ours, theirs)


def input_order(path):
    return os.fsencode(re.sub(r"\.(gz|zst|xz|bz2)$", "", path)), os.fsencode(path)


def main():
    parser = argparse.ArgumentParser(fromfile_prefix_chars="@")
    parser.add_argument("--idle", type=float, default=120)
    parser.add_argument("--active", type=float, default=1800)
    parser.add_argument("--direction", choices=["first", "syn"], default="first")
    parser.add_argument("--stored", type=int, default=128)
    parser.add_argument("--least", type=int, default=1)
    parser.add_argument("store")
    parser.add_argument("captures", nargs="+")
    options = parser.parse_args()
    about = json.loads(output_of(os.environ["WIRESWEEP"], "inspect", "--json", options.store))["counters"]
    refused = [one["reason"] for one in about["inputs_skipped"]]
    read = [path for path in sorted(options.captures, key=input_order)
            if not any(reason.startswith(path + ":") for reason in refused)]
    assert len(read) == len(about["inputs"]), "%d captures, the store has %d" % (len(read), len(about["inputs"]))
    rows = stored_rows(options.store)
    compared = wrong = records = count = gaps = left_out = 0
    for path, described in zip(read, about["inputs"]):
        try:
            expected, counters = flows.flows_of(path, options)
        except (packets.Damaged, packets.Unsupported) as why:
            print("%s: not compared: %s: %s" % (path, type(why).__name__.lower(), why))
            left_out += 1
            continue
        found = list(differences(rows.get(described["name"], []), expected))
        found += counter_differences(described, counters)
        for text in found[:8]:
            print("%s: %s" % (path, text))
        compared += 1
        wrong += len(found) > 0
        records += counters["records"]
        count += len(expected)
        gaps += counters["negative_gaps"]
    if left_out == 0 and about["negative_gaps"] != gaps:
        print("negative gaps: %d, reference %d" % (about["negative_gaps"], gaps))
        wrong += 1
    print("%d captures compared (%d records, %d flows, %d negative gaps), %d differ" % (compared, records, count, gaps,
                                                                                       wrong))
    sys.exit(1 if wrong or compared < options.least else 0)


if __name__ == "__main__":
    main()
