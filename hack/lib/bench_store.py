"""hack/bench store: the store behind a socket beside etcd, on the same disk, from the same load generator, in turns."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from espalier_platform import cpu_seconds, memory
from store_front import Espalier, Etcd, build_generator, build_server, real_folder

VALUE = 2048
KEY = 32    # about, at both


def load(peer, mode, connections, seconds, documents):
    done = subprocess.run(
        [build_generator(), peer.name, str(peer.port), mode, str(connections), str(seconds), str(documents), str(VALUE)],
        text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{peer.name}, {mode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def written(folder):
    """Bytes the folder's device has written: what a process is charged for counts a whole folio for each byte changed in it,
    so that it says more about how a file was first filled than about the device. Nothing else should write meanwhile."""
    device = os.stat(folder).st_dev
    counters = open(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read().split()
    return int(counters[6]) * 512


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else float("nan")


class Table:
    """Goal and figure side by side."""

    def __init__(self):
        self.rows = []

    def add(self, what, ours, theirs, goal, holds, unit=""):
        self.rows.append((what, ours, theirs, goal, "yes" if holds else "NO", unit))

    def show(self):
        print(f"\n{'':46} {'espalier':>12} {'etcd':>12}  {'ratio':>7}  {'goal':28} met")
        for what, ours, theirs, goal, holds, unit in self.rows:
            ratio = f"{ours / theirs:7.2f}" if ours is not None and theirs else "      –"
            print(f"{what:46} {self.number(ours):>12} {self.number(theirs):>12}  {ratio}  {goal:28} {holds} {unit}".rstrip())

    @staticmethod
    def number(value):
        return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def measure(peer, writers, seconds, documents):
    """One turn: what a put costs."""
    cpu, disk = cpu_seconds(peer.pid), written(peer.folder)
    result = load(peer, "put", writers, seconds, documents)
    puts = result["puts"]
    return {
        "rate": puts / result["seconds"], "p50": result["p50_us"], "p99": result["p99_us"],
        "cpu": (cpu_seconds(peer.pid) - cpu) / puts * 1e6, "written": (written(peer.folder) - disk) / puts / (VALUE + KEY),
        "generator": result["generator_cpu"] / result["seconds"]}


def syncs(peer, writers, seconds, documents):
    """fsync and fdatasync calls per put, counted by strace in a run of its own."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile("r") as summary:
        # A trace that exists before the load, and is told to end after it.
        trace = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", summary.name, "-p", str(peer.pid)],
            stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        puts = load(peer, "put", writers, seconds, documents)["puts"]
        trace.send_signal(2)
        trace.wait(30)
        calls = [line for line in summary if re.search(r"\b(fsync|fdatasync|sync_file_range|msync)\(", line)]
    return len(calls) / puts


def costs(table, peers, options):
    figures = {}
    for peer in peers:
        load(peer, "fill", 16, 0, options.documents)
    for writers in (1, 16, 64):
        turns = {peer.name: [] for peer in peers}
        for number in range(options.rounds):
            for peer in peers if number % 2 == 0 else peers[::-1]:
                turns[peer.name].append(measure(peer, writers, options.seconds, options.documents))
        for peer in peers:
            figures[peer.name, writers] = {name: median([turn[name] for turn in turns[peer.name]]) for name in turns[peer.name][0]}
            figures[peer.name, writers]["syncs"] = syncs(peer, writers, min(options.seconds, 3), options.documents)
            figure = figures[peer.name, writers]
            print(
                f"{peer.name:9} {writers:3} writers: {figure['rate']:8.0f} puts/s, p50 {figure['p50']:7.0f} µs, p99 {figure['p99']:7.0f} µs, "
                f"server {figure['cpu']:6.1f} µs CPU/put, {figure['written']:.2f} bytes written per byte, "
                f"{figure['syncs'] if figure['syncs'] is None else round(figure['syncs'], 3)} syncs/put, "
                f"generator {figure['generator'] * 100:.0f} % of a core", flush=True)
    for writers in (1, 16, 64):
        ours = figures["espalier", writers]
        theirs = figures.get(("etcd", writers), {name: None for name in ours})

        def row(what, name, goal, share):
            mine, other = ours[name], theirs[name]
            table.add(f"{what}, {writers} writers", mine, other, goal, other is not None and mine is not None and mine <= other * share)

        row("server CPU per put, µs", "cpu", "a third of etcd's", 1 / 3)
        row("syncs per put", "syncs", "no more than etcd's", 1)
        row("bytes written per byte stored", "written", "no more than etcd's", 1)
        row("p99, µs", "p99", "half of etcd's", 1 / 2)
        table.add(
            f"puts/s, {writers} writers", ours["rate"], theirs["rate"], "3 times etcd's" if writers == 64 else "more than etcd's",
            theirs["rate"] is not None and ours["rate"] >= theirs["rate"] * (3 if writers == 64 else 1))
    one, many = figures["espalier", 1]["syncs"], figures["espalier", 64]["syncs"]
    if one is not None:
        table.add("syncs per put, 1 writer: a batch of one", one, None, "1 a batch", one < 1.05)
        table.add("puts per sync, 64 writers", 1 / many if many else None, None, "many", many < 0.5)


def sizes(table, make, documents):
    """Memory, disk and start after so many documents, in a new folder."""
    figures = {}
    for create in make:
        peer = create(real_folder())
        try:
            peer.start()
            empty = memory(peer.pid, "RssAnon")
            load(peer, "fill", 64, 0, documents)
            time.sleep(2)
            held, disk = memory(peer.pid, "RssAnon"), peer.disk_bytes()
            peer.kill()
            ready = peer.start()
            figures[peer.name] = ((held - empty) / documents, disk / documents, ready, memory(peer.pid, "RssAnon") / documents)
            print(
                f"{peer.name:9} {documents} documents: {held / 1e6:.0f} MB of memory, {disk / 1e6:.0f} MB of disk, "
                f"{ready:.3f} s from kill -9 to serving, then {memory(peer.pid, 'RssAnon') / 1e6:.0f} MB", flush=True)
        finally:
            peer.kill()
            peer.remove()
    ours, theirs = figures["espalier"], figures.get("etcd", (None,) * 4)
    has = theirs[0] is not None
    table.add(f"anonymous memory per document, {documents:,}", ours[0], theirs[0], "a tenth of etcd's", has and ours[0] <= theirs[0] / 10, "bytes")
    table.add(f"the same after a restart, {documents:,}", ours[3], theirs[3], "a tenth of etcd's", has and ours[3] <= theirs[3] / 10, "bytes")
    table.add(f"disk per document of {VALUE} bytes, {documents:,}", ours[1], theirs[1], "no more than etcd's", has and ours[1] <= theirs[1], "bytes")
    table.add(f"start to serving, {documents:,} documents, s", ours[2], theirs[2], "2 s at a million", ours[2] <= 2)


def watches(table, peers, options):
    figures = {}
    for number in range(options.rounds):
        for peer in peers if number % 2 == 0 else peers[::-1]:
            figures.setdefault(peer.name, []).append(load(peer, "watch", options.watchers, options.seconds, max(2000, options.watchers + 1)))
    def of(name, what):
        return median([turn[what] for turn in figures[name]]) if name in figures else None

    for name, turns in figures.items():
        puts = sum(turn["puts"] for turn in turns)
        print(f"{name:9} {options.watchers} watchers: {puts} puts, {sum(turn['samples'] for turn in turns)} receipts, "
              f"p50 {of(name, 'p50_us'):.0f} µs, p99 {of(name, 'p99_us'):.0f} µs after the acknowledgement, "
              f"p50 {of(name, 'receipt_p50_us'):.0f} µs, p99 {of(name, 'receipt_p99_us'):.0f} µs after the request", flush=True)
    # A peer may hand events out before it acknowledges or behind that; only from the request on is it the same way.
    for what, name in (("answer", "p99_us"), ("request", "receipt_p99_us")):
        ours, theirs = of("espalier", name), of("etcd", name)
        table.add(
            f"p99 from {what} to receipt, {options.watchers} watchers, µs", ours, theirs, "a quarter of etcd's",
            theirs is not None and ours <= theirs / 4)


def run(_binary, options):
    if options.full:
        options.rounds, options.documents, options.watchers = max(options.rounds, 10), 100_000, 1000
    server = build_server()
    make = [lambda folder: Espalier(folder, server)]
    if Etcd.is_installed():
        make.append(Etcd)
    else:
        print("etcd is missing (apt-get install etcd-server): only Espalier is measured")
    print(f"{options.rounds} rounds of {options.seconds} s in turns, {VALUE} byte values, {os.cpu_count()} cores shared with the generator", flush=True)
    table = Table()
    peers = [create(real_folder()) for create in make]
    try:
        for peer in peers:
            peer.start()
        costs(table, peers, options)
        watches(table, peers, options)
    finally:
        for peer in peers:
            peer.kill()
            peer.remove()
    for documents in (100_000, 1_000_000) if options.full else (options.documents,):
        sizes(table, make, documents)
    table.show()
