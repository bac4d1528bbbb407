"""Fills the device of the log at many different offsets and looks whether the real server keeps its word.

The log lives on a small tmpfs of its own, so this needs root; without it the campaign says so and ends. Writers write
without a pause and note what was acknowledged; a reader reads without a pause and may never be refused. Each round a
file takes what space is left; the server must refuse writes, say so in /readyz and go on serving what it acknowledged;
then the file goes, and writing must resume by itself. Now and then the server is killed while the device is full.
"""
import argparse
import http.client
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import Platform, find_binary, wait_until  # noqa: E402

PATH = "/api/v1/namespaces/default/configmaps"


class Writer:
    """Applies ConfigMaps of its own on one connection, and knows what each of them may be."""

    def __init__(self, life, number, seed):
        self.life, self.number, self.random = life, number, random.Random(seed)
        self.allowed = {}   # name -> the values it may have: what was acknowledged, and what nobody was told about since
        self.acknowledged = self.refused = self.counter = 0
        self.problems = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        connection = None
        while not self.life.finished:
            try:
                connection = connection or self.life.platform.connection(timeout=30)
                self._write(connection)
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.02)

    def _write(self, connection):
        self.counter += 1
        name = f"w{self.number}-{self.random.randrange(6)}"
        value = f"{self.counter}:" + "x" * self.random.randrange(16000)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
        before = self.allowed.get(name, {None})
        self.allowed[name] = before | {value}
        status, answer = self.life.platform.request(
            "PATCH", f"{PATH}/{name}?fieldManager=campaign&force=true", body, "application/apply-patch+yaml", connection)
        if status in (200, 201):
            self.allowed[name] = {value}
            self.acknowledged += 1
        elif status == 503 and "writing resumes by itself" in str(answer):
            self.refused += 1
            time.sleep(0.01)
        else:
            self.problems.append(f"write of {name}: {status} {str(answer)[:200]}")


class Reader:
    """Reads without a pause. Every refusal is a problem."""

    def __init__(self, life):
        self.life, self.reads, self.problems, self.slowest = life, 0, [], 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            self._read(self.life.platform.connection())
        except (OSError, http.client.HTTPException) as error:
            if not self.life.finished:
                self.problems.append(f"a read was not answered: {error}")

    def _read(self, connection):
        while not self.life.finished:
            began = time.monotonic()
            status, answer = self.life.platform.request("GET", f"{PATH}?limit=3", connection=connection)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.reads += 1
            if status != 200:
                self.problems.append(f"a read was answered {status} {str(answer)[:200]}")
            time.sleep(0.005)


class Life:
    """One data directory whose log has a device of its own."""

    def __init__(self, options, seed):
        self.options, self.random = options, random.Random(seed)
        self.platform = Platform(find_binary(options.configuration), tempfile.mkdtemp(prefix="espalier-"), ["--no-pod-network"])
        self.log = f"{self.platform.directory}/log"
        os.mkdir(self.log, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={options.size_mib}m,mode=700", "tmpfs", self.log], check=True)
        self.finished, self.problems = False, []
        self.acknowledged = self.reads = self.refused = self.rounds = self.killed = 0
        self.offsets, self.slowest = set(), 0.0

    def run(self, rounds):
        try:
            self.platform.start()
            self._begin()
            kill_at = self.random.randrange(3, 9)
            while self.rounds < rounds and self._free() > 900_000:
                self.rounds += 1
                self._round(kills=self.rounds == kill_at)
            self._end()
            self.platform.kill()
            self.platform.start()
            self._compare("after a last kill and restart")
            self.platform.stop()
        finally:
            self.finished = True
            for pid in self.platform.processes():
                os.kill(pid, 9)
            subprocess.run(["umount", "-l", self.log], check=False)
        if not self.problems:
            self.platform.remove()

    def _begin(self):
        self.finished = False
        if not hasattr(self, "writers"):
            self.writers = [Writer(self, number, self.random.random()) for number in range(4)]
        for writer in self.writers:
            writer.thread = threading.Thread(target=writer._run, daemon=True)
        self.reader = Reader(self)
        for worker in [*self.writers, self.reader]:
            worker.thread.start()

    def _end(self):
        self.finished = True
        for worker in [*self.writers, self.reader]:
            worker.thread.join(40)
            self.problems += worker.problems
            worker.problems = []
        self.reads += self.reader.reads
        self.slowest = max(self.slowest, self.reader.slowest)
        self.acknowledged = sum(writer.acknowledged for writer in self.writers)
        self.refused = sum(writer.refused for writer in self.writers)

    def _free(self):
        status = os.statvfs(self.log)
        return status.f_bavail * status.f_frsize

    def _ready(self):
        return self.platform.request("GET", "/readyz?verbose", timeout=5)

    def _round(self, kills):
        filler = f"{self.log}/filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                file.write(b"\xff" * max(0, self._free() - self.random.randrange(0, 160_000)))
            except OSError:
                pass    # The server took some meanwhile.
        wait_until("writes are refused", lambda: self._ready()[0] == 503, timeout=20)
        if "no space on the device" not in self._ready()[1]:
            self.problems.append(f"/readyz says {self._ready()[1]!r}")
        self.offsets.add(self._offset())
        time.sleep(self.random.random() * 0.3)
        status, answer = self.platform.request("GET", PATH)
        if status != 200:
            self.problems.append(f"a list on a full device was answered {status}")
        if kills:
            self._end_after_kill(filler)
            return
        os.remove(filler)
        took = wait_until("writes resume", lambda: self._ready()[0] == 200, timeout=20)
        if took > 3:
            self.problems.append(f"writing resumed only after {took:.1f} s")

    def _end_after_kill(self, filler):
        """kill -9 on a full device; the answers under way are lost, nothing else."""
        self.killed += 1
        self.finished = True
        self.platform.kill()
        self.reader.problems = []
        self._end()
        os.remove(filler)
        self.platform.start()
        self._compare("after a kill on a full device")
        self._begin()

    def _offset(self):
        """(segment, bytes up to the last that is not zero)."""
        name = max(name for name in os.listdir(self.log) if name.endswith(".log"))
        return name, len(open(f"{self.log}/{name}", "rb").read().rstrip(b"\0"))

    def _compare(self, when):
        status, answer = self.platform.request("GET", PATH)
        found = {item["metadata"]["name"]: item["data"]["value"] for item in answer["items"] if item["metadata"]["name"].startswith("w")}
        for writer in self.writers:
            for name, allowed in writer.allowed.items():
                if found.get(name) not in allowed:
                    self.problems.append(f"{when}: {name} is {str(found.get(name))[:30]}, expected one of {len(allowed)} values")


def main():
    parser = argparse.ArgumentParser(
        prog="hack/crash --full-disk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-disk", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=110, help="how often the device is filled (default 110)")
    parser.add_argument("--size-mib", type=int, default=4, help="size of the log's device (default 4)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--configuration", default="release", help="which build to use: release or debug")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: only root can mount a small file system")
        return
    print(f"seed {options.seed}", flush=True)
    rounds = acknowledged = reads = refused = killed = lives = 0
    offsets, problems, slowest = set(), [], 0.0
    while rounds < options.rounds and not problems:
        life = Life(options, options.seed + lives)
        life.run(options.rounds - rounds)
        lives += 1
        rounds += life.rounds
        acknowledged, reads, refused = acknowledged + life.acknowledged, reads + life.reads, refused + life.refused
        killed, slowest = killed + life.killed, max(slowest, life.slowest)
        offsets |= {(lives, *offset) for offset in life.offsets}
        problems += life.problems
        for problem in life.problems:
            print(f"PROBLEM: {problem} ({life.platform.directory})", flush=True)
        if life.rounds == 0:
            raise SystemExit("the device is too small for a single round")
    print(f"{rounds} times full at {len(offsets)} offsets in {lives} lives, {killed} kills while full: {acknowledged} writes acknowledged, "
          f"{refused} refused, {reads} reads answered (slowest {slowest * 1000:.0f} ms), {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
