"""Kills the real server at random moments under load and looks whether it kept its word.

Writers create, replace and delete ConfigMaps over HTTPS and note, outside the server, what it acknowledged; a watcher
follows the same objects and resumes after every restart. Each round kills the server with SIGKILL at a random moment,
now and then again while it starts, and compares: every acknowledged write must be there, a write in flight may be there
or not, nothing else may; the landscape must become ready again, and exactly the processes of before must run.
"""
import argparse
import collections
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import ROOT, Platform, find_binary, wait_until  # noqa: E402

PATH = "/api/v1/namespaces/crash/configmaps"
ABSENT = None


class Writer:
    """One keep-alive connection that writes without a pause, and what it knows of its own objects."""

    def __init__(self, campaign, number, seed):
        self.campaign, self.number, self.random = campaign, number, random.Random(seed)
        self.known = {}         # name -> (value, resourceVersion) as acknowledged; missing: absent
        self.in_flight = None   # (name, value or ABSENT) sent and not answered
        self.acknowledged = self.counter = 0
        self.connection = None
        self.unexpected = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.campaign.finished:
            if not self.campaign.open.wait(0.2):
                continue
            self.campaign.enter()
            try:
                while self.campaign.open.is_set() and self.in_flight is None:
                    self._write()
            except (OSError, http.client.HTTPException):
                self.connection = None
            finally:
                self.campaign.leave()
            if self.in_flight is not None:
                # The answer is lost with the server; the next comparison says what became of the write.
                self.campaign.settled.wait(0.05)

    def _write(self):
        if self.connection is None:
            self.connection = self.campaign.platform.connection(timeout=10)
        self.counter += 1
        name = f"w{self.number}-{self.random.randrange(12)}"
        value = f"{self.number}:{self.counter}:" + "x" * self.random.randrange(1500)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
        if name not in self.known:
            self._send("POST", PATH, body, name, value, 201)
        elif self.random.random() < 0.2:
            self._send("DELETE", f"{PATH}/{name}", None, name, ABSENT, 200)
        else:
            self._send("PUT", f"{PATH}/{name}", body, name, value, 200)

    def _send(self, method, path, body, name, value, expected):
        self.in_flight = (name, value)
        status, answer = self.campaign.platform.request(method, path, body, connection=self.connection)
        if status == expected:
            self.acknowledged += 1
            if value is ABSENT:
                self.known.pop(name, None)
            else:
                self.known[name] = (value, int(answer["metadata"]["resourceVersion"]))
            self.in_flight = None
        elif status >= 500 or status == 429:
            # No promise was made: it may have happened or not.
            raise http.client.HTTPException(f"{status}")
        else:
            self.unexpected.append(f"{method} {path}: {status} {str(answer)[:200]}")
            self.in_flight = None


class Watcher:
    """Follows the writers' objects from the last event seen, over every restart."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.state, self.revision, self.events, self.relists = {}, None, 0, 0
        self.problems = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.campaign.finished:
            try:
                if self.revision is None:
                    self._list()
                self._watch()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.05)

    def _list(self):
        status, answer = self.campaign.platform.request("GET", PATH)
        if status != 200:
            raise http.client.HTTPException(str(status))
        self.state = {item["metadata"]["name"]: item["data"]["value"] for item in answer["items"] if "value" in item.get("data", {})}
        self.revision = int(answer["metadata"]["resourceVersion"])
        self.relists += 1

    def _watch(self):
        connection = self.campaign.platform.connection(timeout=5)
        connection.request(
            "GET", f"{PATH}?watch=true&resourceVersion={self.revision}&timeoutSeconds=60",
            headers={"Authorization": f"Bearer {self.campaign.platform.token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            self.revision = None if answer.status == 410 else self.revision
            raise http.client.HTTPException(str(answer.status))
        while True:
            line = answer.readline()
            if not line:
                return
            event = json.loads(line)
            if event["type"] == "ERROR":
                self.revision = None
                return
            revision = int(event["object"]["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                self.revision = max(self.revision, revision)
                continue
            if revision <= self.revision:
                self.problems.append(f"event {revision} after {self.revision}")
            self.revision = revision
            self.events += 1
            name = event["object"]["metadata"]["name"]
            if event["type"] == "DELETED":
                self.state.pop(name, None)
            elif "value" in event["object"].get("data", {}):
                self.state[name] = event["object"]["data"]["value"]


def refuse_memory(directory):
    """What a crash leaves on tmpfs proves nothing."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], text=True, capture_output=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise SystemExit(f"{directory} is on {kind}; name a folder on a disk with --directory or TMPDIR")


class Campaign:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.platform = Platform(find_binary(options.configuration), directory=options.directory)
        refuse_memory(self.platform.directory)
        self.open, self.settled, self.finished = threading.Event(), threading.Event(), False
        self.lock, self.busy = threading.Condition(), 0
        self.writers = [Writer(self, number, self.random.random()) for number in range(options.writers)]
        self.watcher = Watcher(self)
        self.problems = []
        self.loaded, self.began = 0.0, time.monotonic()
        self.hits = self.survived = self.vanished = self.restart_kills = self.highest = 0
        self.ready_times, self.converge_times = [], []

    def enter(self):
        with self.lock:
            self.busy += 1

    def leave(self):
        with self.lock:
            self.busy -= 1
            self.lock.notify_all()

    def quiesce(self):
        """Waits until every writer has noticed that it must stop."""
        self.open.clear()
        with self.lock:
            if not self.lock.wait_for(lambda: self.busy == 0, timeout=30):
                raise SystemExit("a writer did not stop within 30 s")

    # The landscape

    def processes(self):
        """How many processes of each kind belong to this data directory."""
        kinds = collections.Counter()
        for command in self.platform.processes().values():
            kinds[re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b\d+\b", "N", command)] += 1
        return kinds

    def landscape_is_ready(self):
        landscape = json.loads(self.platform.espalier("get", "landscape", "shop", "-o", "json"))
        conditions = {entry["type"]: entry for entry in landscape["status"]["conditions"]}
        if conditions["Ready"]["status"] != "True":
            return False
        pods = json.loads(self.platform.espalier("get", "pods", "-o", "json"))["items"]
        return bool(pods) and all(
            any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", []))
            for pod in pods)

    def answers(self):
        connection = http.client.HTTPConnection(*self.platform.gateway, timeout=2)
        connection.request("GET", "/version", headers={"Host": "shop.localhost"})
        return connection.getresponse().status == 200

    def converge(self, baseline):
        seconds = wait_until("the landscape to be ready", self.landscape_is_ready, 60)
        wait_until("the shop to answer", self.answers, 60)
        if baseline is not None:
            try:
                wait_until("the processes of before", lambda: self.processes() == baseline, 15)
            except SystemExit:
                self.problems.append(f"processes differ: missing {baseline - self.processes()}, extra {self.processes() - baseline}")
        return seconds

    # Rounds

    def compare(self, round_number):
        """Every object of every writer against what the server has now."""
        status, answer = self.platform.request("GET", PATH)
        if status != 200:
            self.problems.append(f"round {round_number}: list answered {status}")
            return
        found = {item["metadata"]["name"]: (item["data"]["value"], int(item["metadata"]["resourceVersion"]))
                 for item in answer["items"] if "value" in item.get("data", {})}
        revision = int(answer["metadata"]["resourceVersion"])
        if revision < self.highest:
            self.problems.append(f"round {round_number}: revision {revision} after {self.highest}")
        self.highest = max([self.highest, revision] + [entry[1] for entry in found.values()])
        for writer in self.writers:
            names = set(writer.known) | {name for name in found if name.startswith(f"w{writer.number}-")}
            if writer.in_flight:
                names.add(writer.in_flight[0])
            for name in sorted(names):
                self._compare_one(round_number, writer, name, found.get(name))
            writer.in_flight = None
            self.problems += writer.unexpected
            writer.unexpected = []

    def _compare_one(self, round_number, writer, name, found):
        known = writer.known.get(name)
        if found == known:
            if writer.in_flight and writer.in_flight[0] == name:
                self.vanished += 1
            return
        value = found[0] if found else ABSENT
        if writer.in_flight and writer.in_flight == (name, value):
            self.survived += 1
        else:
            self.problems.append(
                f"round {round_number}: {name} is {str(found)[:60]}, acknowledged was {str(known)[:60]}, "
                f"in flight {str(writer.in_flight)[:60]}")
        if found:
            writer.known[name] = found
        else:
            writer.known.pop(name, None)

    def round(self, number, baseline):
        self.open.set()
        load = self.random.uniform(*self.options.load)
        time.sleep(load)
        self.platform.kill()
        self.loaded += load
        self.quiesce()
        if any(writer.in_flight for writer in self.writers):
            self.hits += 1
        if self.random.random() < 0.2:
            self.kill_while_starting()
        self.ready_times.append(self.platform.start())
        self.compare(number)
        if baseline is not None:
            self.converge_times.append(self.converge(baseline))

    def kill_while_starting(self):
        """Starts the server and kills it before it is ready, in the middle of its recovery."""
        log = open(f"{self.platform.directory}.log", "ab")
        server = subprocess.Popen(
            [self.platform.binary, "serve", "--data-dir", self.platform.directory, "--listen", "127.0.0.1:0",
             "--gateway-listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        time.sleep(self.random.uniform(0, 0.12))
        server.kill()
        server.wait()
        self.restart_kills += 1

    def run(self):
        first = self.platform.start()
        print(f"seed {self.options.seed}, data in {self.platform.directory}, first start {first:.3f} s", flush=True)
        baseline = None
        if not self.options.no_landscape:
            self.platform.espalier("apply", "-f", f"{ROOT}/manifests/quickstart")
            self.converge(None)
            time.sleep(1)
            baseline = self.processes()
            print(f"the shop runs: {sum(baseline.values())} processes", flush=True)
        status, answer = self.platform.request(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "crash"}})
        if status not in (201, 409):
            raise SystemExit(f"no namespace: {status} {answer}")
        for worker in [*self.writers, self.watcher]:
            worker.thread.start()
        for number in range(1, self.options.kills + 1):
            self.round(number, baseline)
            if number % 10 == 0 or number == self.options.kills:
                self.report(f"{number} kills")
            if self.problems and not self.options.keep_going:
                break
        wait_until("the watcher to catch up", self.watcher_agrees, 20)
        self.finished = True
        self.open.clear()

    def watcher_agrees(self):
        expected = {name: entry[0] for writer in self.writers for name, entry in writer.known.items()}
        return self.watcher.state == expected

    def report(self, head):
        writes = sum(writer.acknowledged for writer in self.writers)
        ready, converge = sorted(self.ready_times), sorted(self.converge_times)
        line = (f"{head} in {time.monotonic() - self.began:.0f} s: {writes} writes acknowledged, "
                f"{writes / max(self.loaded, 0.001):.0f} a second of load, {self.hits} kills hit a write "
                f"({self.survived} of those writes were kept, {self.vanished} not), {self.restart_kills} more kills while starting, "
                f"{self.watcher.events} watch events, {self.watcher.relists} lists, "
                f"ready after {ready[len(ready) // 2]:.3f} s (worst {ready[-1]:.3f})")
        if converge:
            line += f", converged after {converge[len(converge) // 2]:.2f} s (worst {converge[-1]:.2f})"
        print(f"{line}; problems {len(self.problems)}", flush=True)

    def finish(self):
        self.problems += self.watcher.problems
        if not self.options.no_landscape:
            self.platform.espalier("delete", "-f", f"{ROOT}/manifests/quickstart", check=False)
        self.platform.stop()
        time.sleep(0.5)
        left = self.platform.processes()
        if left:
            self.problems.append(f"processes left after the stop: {left}")
        if not self.hits or not any(writer.acknowledged for writer in self.writers):
            self.problems.append("no kill hit a write: the run is void")
        for problem in self.problems[:20]:
            print(f"PROBLEM {problem}")
        print(f"{len(self.problems)} problems" if self.problems else "0 acknowledged writes lost, 0 problems")
        if not self.problems and self.options.directory is None:
            self.platform.remove()
        return 1 if self.problems else 0


def main():
    parser = argparse.ArgumentParser(
        prog="hack/crash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="decides moments and writes")
    parser.add_argument("--load", type=float, nargs=2, metavar=("MIN", "MAX"),
                        help="seconds before a kill (default: 0.05 to 1; without a landscape 0.05 to 0.4)")
    parser.add_argument("--directory", help="data directory; on a real file system, not tmpfs (default: a new one in $TMPDIR)")
    parser.add_argument("--configuration", default="release", help="which build to use: release or debug")
    parser.add_argument("--no-landscape", action="store_true", help="the store alone, without the quickstart's pods")
    parser.add_argument("--keep-going", action="store_true", help="go on after a problem")
    options = parser.parse_args()
    options.load = options.load or ((0.05, 0.4) if options.no_landscape else (0.05, 1.0))
    campaign = Campaign(options)
    try:
        campaign.run()
    except BaseException as error:
        campaign.finished = True
        campaign.problems.append(repr(error))
        campaign.finish()
        raise
    sys.exit(campaign.finish())


if __name__ == "__main__":
    main()
