"""Clients of the real store process over sockets, which is killed again and again: hack/linearizability --socket and
hack/watch --socket.

Writers put and delete under preconditions, read and list; a follower reads the log of all changes and resumes after
every kill; with --watch a crowd of watchers does too, each checked against that log. Compaction runs every 100 ms. The
history goes to a file that the checker of the tests then reads.
"""
import argparse
import bisect
import os
import random
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import ROOT  # noqa: E402
from store_front import (ANYTHING, COMPACTED, CONFLICT, DONE, EVENTS, FUTURE, Espalier, StoreClient, build_server,  # noqa: E402
                         key, prefix, real_folder)

GROUP = 8


def key_of(number):
    return key(f"k{number}", f"g{number // GROUP}")


def number_of(name):
    return int(name.rsplit(b"\0k", 1)[1])


def value_of(data):
    return int(data.split(b" ", 1)[0])


class Recorder:
    """The history so far, in the form of Tests/StoreTests/Campaigns/RecordedHistory.swift."""

    def __init__(self):
        self.lines, self.lock, self.value = [f"G {GROUP}"], threading.Lock(), 0

    def next_value(self):
        with self.lock:
            self.value += 1
            return self.value

    def write(self, client, called, number, value, compare, outcome, revision, returned="-"):
        compare = "-" if compare == ANYTHING else compare
        self.lines.append(f"W {client} {called} {returned} {number} {value or '-'} {compare} {outcome} {revision}")

    def read(self, client, called, place, revision, entries):
        seen = " ".join(f"{number_of(name)}:{value_of(data)}:{mod}" for mod, name, data in entries)
        self.lines.append(f"R {client} {called} {time.monotonic_ns()} {place} {revision} {seen}".rstrip())


class Client(threading.Thread):
    """Asks, notes what it was told, and starts anew when the server is gone."""

    def __init__(self, campaign, number):
        super().__init__(daemon=True)
        self.campaign, self.number, self.random = campaign, number, random.Random(f"{campaign.options.seed} {number}")
        self.link, self.known, self.in_flight, self.operations, self.acknowledged = None, {}, False, 0, 0

    def run(self):
        while not self.campaign.stopping:
            try:
                if self.link is None:
                    self.link = StoreClient(self.campaign.server.port)
                self.ask()
                self.operations += 1
            except OSError:
                self.link = None
                time.sleep(0.002)

    def ask(self):
        recorder, number = self.campaign.recorder, self.random.randrange(self.campaign.options.keys)
        choice, called = self.random.random(), time.monotonic_ns()
        if choice < 0.3:
            revision, entry = self.link.get(key_of(number))
            recorder.read(self.number, called, number, revision, [entry] if entry else [])
            self.known[number] = entry[0] if entry else 0
        elif choice < 0.35:
            group = number // GROUP
            status, revision, entries = self.link.list(prefix(f"g{group}"))
            if status == DONE:
                recorder.read(self.number, called, f"-{group}", revision, entries)
        else:
            self.write(number, called, is_delete=choice > 0.9)

    def write(self, number, called, is_delete):
        recorder = self.campaign.recorder
        value = None if is_delete else recorder.next_value()
        compare = self.known.get(number, 0) if is_delete or self.random.random() < 0.5 else ANYTHING
        if is_delete:
            compare = max(compare, 1)
        self.in_flight = True
        try:
            if is_delete:
                status, answer = self.link.delete(key_of(number), compare)
            else:
                status, answer = self.link.put(key_of(number), b"%d " % value + b"." * self.random.randrange(300), compare)
        except OSError:
            recorder.write(self.number, called, number, value, compare, "unknown", 0)
            raise
        self.in_flight = False
        outcome = {DONE: "written", CONFLICT: "conflict"}.get(status)
        if outcome is None:
            return recorder.write(self.number, called, number, value, compare, "unknown", 0)
        recorder.write(self.number, called, number, value, compare, outcome, answer, time.monotonic_ns())
        self.known[number] = answer if status == CONFLICT or value else 0
        self.acknowledged += status == DONE


class Follower(threading.Thread):
    """Reads the log of all changes, from where it stopped after every kill."""

    def __init__(self, campaign):
        super().__init__(daemon=True)
        self.campaign, self.seen, self.events, self.revisions = campaign, 1, [], []

    def run(self):
        while not self.campaign.finished or self.seen < self.campaign.last:
            try:
                link = StoreClient(self.campaign.server.port)
                link.watch(b"", self.seen)
                while not self.campaign.finished or self.seen < self.campaign.last:
                    status, _, body = link.receive()
                    if status != EVENTS:
                        self.campaign.problems.append(f"the log ended at {self.seen} with status {status}")
                        return
                    self.take(*StoreClient.events(body))
            except OSError:
                time.sleep(0.002)

    def take(self, complete, events):
        for kind, revision, name, data in events:
            self.events.append((revision, number_of(name), value_of(data) if kind == 1 else None))
            self.revisions.append(revision)
        self.seen = max(self.seen, complete)


class Crowd(threading.Thread):
    """Many watches, each on a connection of its own; what each was told is compared with the log when that has come."""

    def __init__(self, campaign, count):
        super().__init__(daemon=True)
        self.campaign, self.random = campaign, random.Random(campaign.options.seed)
        self.deliveries = self.resumed = self.overtaken = self.bookmarks = 0
        groups = campaign.options.keys // GROUP
        self.watches = [{"group": None if number % 2 else self.random.randrange(groups), "seen": 1, "link": None, "told": []}
                        for number in range(count)]

    def run(self):
        self.selector = selectors.DefaultSelector()
        while not self.campaign.finished or any(watch["seen"] < self.campaign.last for watch in self.watches):
            for watch in self.watches:
                if watch["link"] is None:
                    self.connect(watch)
            for event, _ in self.selector.select(0.05):
                self.read(event.data)
            self.compare()
        self.compare()

    def connect(self, watch):
        try:
            watch["link"] = StoreClient(self.campaign.server.port)
            watch["link"].watch(b"" if watch["group"] is None else prefix(f"g{watch['group']}"), watch["seen"])
            watch["link"].socket.settimeout(10)
            self.selector.register(watch["link"].socket, selectors.EVENT_READ, watch)
            self.resumed += 1
        except OSError:
            self.drop(watch)

    def drop(self, watch):
        if watch["link"]:
            try:
                self.selector.unregister(watch["link"].socket)
            except KeyError:
                pass
            watch["link"].close()
        watch["link"] = None

    def read(self, watch):
        try:
            status, _, body = watch["link"].receive()
        except OSError:
            return self.drop(watch)
        if status == COMPACTED:
            # Overtaken: start anew at the present. That it was behind what is compacted is checked by the server's word.
            self.overtaken += 1
            self.drop(watch)
            try:
                with StoreClient(self.campaign.server.port) as link:
                    _, durable, compacted, _ = link.status()
            except OSError:
                return None
            if watch["seen"] >= compacted:
                self.campaign.problems.append(f"a watch at {watch['seen']} was overtaken, and compacted is {compacted}")
            self.compare_one(watch, watch["seen"])
            watch["told"], watch["seen"], watch["from"] = [], durable, durable
            return None
        if status != EVENTS:
            self.campaign.problems.append(f"a watch at {watch['seen']} ended with status {status}: {body[:100]}")
            return self.drop(watch)
        complete, events = StoreClient.events(body)
        self.deliveries += len(events)
        self.bookmarks += not events
        watch["told"] += [(revision, number_of(name), value_of(data) if kind == 1 else None) for kind, revision, name, data in events]
        watch["seen"] = max(watch["seen"], complete)
        # What is still buffered belongs to this turn, since the selector sees only the socket.
        if watch["link"].buffer:
            length = struct.unpack("<I", watch["link"].buffer[:4])[0] if len(watch["link"].buffer) >= 4 else 1 << 30
            if len(watch["link"].buffer) >= 4 + length:
                return self.read(watch)
        return None

    def compare(self):
        for watch in self.watches:
            if len(watch["told"]) > 2000 or self.campaign.finished:
                self.compare_one(watch, min(watch["seen"], self.campaign.follower.seen))

    def compare_one(self, watch, until):
        """What the watch was told up to a revision that the log has reached, against the log."""
        follower = self.campaign.follower
        if follower.seen < until:
            return
        low = bisect.bisect_right(follower.revisions, watch.get("from", 1))
        high = bisect.bisect_right(follower.revisions, until)
        expected = [event for event in follower.events[low:high] if watch["group"] is None or event[1] // GROUP == watch["group"]]
        told = [event for event in watch["told"] if event[0] <= until]
        if told != expected and len(self.campaign.problems) < 20:
            at = next((index for index, pair in enumerate(zip(told, expected)) if pair[0] != pair[1]), min(len(told), len(expected)))
            self.campaign.problems.append(f"a watch of {watch['group']} was told {told[at:at + 2]}, the log has {expected[at:at + 2]}")
        watch["told"], watch["from"] = watch["told"][len(told):], until


class Campaign:
    def __init__(self, options):
        self.options, self.problems = options, []
        self.stopping = self.finished = False   # first the clients end, then, at the last revision, who watches
        self.last = 1
        self.server = Espalier(real_folder(options.directory), build_server())
        self.recorder, self.random = Recorder(), random.Random(options.seed)
        self.kills = self.hits = self.compactions = 0

    def run(self):
        self.server.start()
        self.follower = Follower(self)
        self.clients = [Client(self, number) for number in range(self.options.clients)]
        self.crowd = Crowd(self, self.options.watchers) if self.options.watch else None
        threads = [self.follower, *self.clients] + ([self.crowd] if self.crowd else [])
        began = time.monotonic()
        for thread in threads:
            thread.start()
        next_kill = time.monotonic() + self.options.kill_every
        while not self.is_done():
            time.sleep(0.1)
            if time.monotonic() > next_kill:
                self.kill()
                next_kill = time.monotonic() + self.random.uniform(0.5, 1.5) * self.options.kill_every
            elif self.follower.seen > 300:
                self.compact()
            if self.problems:
                break
        seconds = time.monotonic() - began
        self.stop(threads)
        self.report(seconds)

    def is_done(self):
        if self.options.watch:
            return self.crowd.deliveries >= self.options.deliveries
        return sum(client.operations for client in self.clients) >= self.options.operations

    def kill(self):
        self.server.kill()
        self.hits += any(client.in_flight for client in self.clients)
        self.kills += 1
        self.server.start()

    def compact(self):
        """Up to what the log's follower has read, or a little before."""
        try:
            with StoreClient(self.server.port) as link:
                link.compact(self.follower.seen - self.random.choice((0, 50, 200)))
            self.compactions += 1
        except OSError:
            pass

    def stop(self, threads):
        self.stopping = True
        for client in self.clients:
            client.join(20)
        with StoreClient(self.server.port) as link:
            self.last = link.status()[1]
        self.finished = True
        for thread in threads:
            thread.join(30)
            if thread.is_alive():
                self.problems.append(f"{type(thread).__name__} did not reach revision {self.last}")

    def report(self, seconds):
        acknowledged = sum(client.acknowledged for client in self.clients)
        print(
            f"{self.kills} kills, {self.hits} of them hit a write; {sum(client.operations for client in self.clients)} operations, "
            f"{acknowledged} writes acknowledged, {acknowledged / seconds:.0f} a second; {len(self.follower.events)} changes in the log, "
            f"{self.compactions} compactions", flush=True)
        if self.crowd:
            print(
                f"{self.crowd.deliveries} deliveries to {len(self.crowd.watches)} watchers, {self.crowd.bookmarks} bookmarks, "
                f"{self.crowd.resumed} connections, {self.crowd.overtaken} overtaken", flush=True)
        for problem in self.problems[:20]:
            print(f"PROBLEM {problem}")
        if not self.kills or not acknowledged or not self.hits:
            self.problems.append("the run hit nothing: void")

    def check(self):
        """The history through the checker of the tests."""
        path = f"{self.server.folder}.history"
        with open(path, "w") as file:
            file.write("\n".join(self.recorder.lines) + "\n")
            for revision, number, value in self.follower.events:
                file.write(f"E {revision} {number} {'-' if value is None else value}\n")
        environment = dict(os.environ, HISTORY=path)
        done = subprocess.run([f"{ROOT}/hack/lib/store_tests", "StoreTests.LinearizabilityTests/theRecordedHistoryHasOneOrder"], env=environment)
        if done.returncode:
            print(f"the history is in {path}")
        else:
            os.remove(path)
        return done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--operations", type=int, default=20_000, help="linearizability: of all clients together")
    parser.add_argument("--deliveries", type=int, default=200_000, help="watch: to all watchers together")
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--keys", type=int, default=256)
    parser.add_argument("--kill-every", type=float, default=1, help="seconds between kills, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of what clients do; moments are real")
    parser.add_argument("--directory", help="folder for the data, on a real file system (default: in $TMPDIR)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    campaign = Campaign(options)
    try:
        campaign.run()
    finally:
        campaign.stopping = campaign.finished = True
        campaign.server.kill()
    status = campaign.check() or bool(campaign.problems)
    if not status:
        campaign.server.remove()
    print("0 problems" if not status else f"problems; data in {campaign.server.folder}")
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main()
