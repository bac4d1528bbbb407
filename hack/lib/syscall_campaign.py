"""Kills or fails the real server at the Nth system call of a kind, for every N, and looks whether it kept its word.

Each run begins with an empty data directory, so that first start, keys, log and writes are all covered; strace does the
harm, to the unmodified binary. A write that was acknowledged must be there after the restart; one that was refused or
not answered may be there or not; after an error no write is acknowledged until the restart, unless it was want of space.
"""
import argparse
import contextlib
import errno
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import Platform, find_binary  # noqa: E402

PATH = "/api/v1/namespaces/default/configmaps"
FAULTS = [
    ("pwrite64", "signal=KILL"), ("fdatasync", "signal=KILL"), ("fsync", "signal=KILL"), ("rename", "signal=KILL"),
    ("mkdir", "signal=KILL"), ("unlink", "signal=KILL"), ("pwrite64", "error=EIO"), ("fdatasync", "error=EIO"), ("fsync", "error=EIO"),
    ("rename", "error=EIO"), ("mkdir", "error=EIO"), ("pwrite64", "error=ENOSPC"), ("fdatasync", "error=ENOSPC"),
    ("fsync", "error=ENOSPC"), ("rename", "error=ENOSPC"), ("mkdir", "error=ENOSPC"), ("pwrite64", "error=EINTR"),
    # A part of the bytes is written; then all is well, or the disk is full or broken.
    ("pwrite64", "short"), ("pwrite64", "short, then ENOSPC"), ("pwrite64", "short, then EIO"),
]
CACHE = os.environ.get("ESPALIER_CACHE", os.path.expanduser("~/.cache/espalier"))


def short_writes():
    """The library that shortens writes, compiled from hack/lib/short_write.c where that is newer."""
    source, library = os.path.join(os.path.dirname(os.path.abspath(__file__)), "short_write.c"), f"{CACHE}/short_write.so"
    if not os.path.exists(library) or os.stat(library).st_mtime < os.stat(source).st_mtime:
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", library, source, "-ldl"], check=True)
    return library


class Run:
    def __init__(self, options, call, fault, number):
        self.call, self.fault, self.number = call, fault, number
        self.platform = Platform(find_binary(options.configuration), tempfile.mkdtemp(prefix="espalier-"))
        self.trace = f"{self.platform.directory}.strace"
        self.writes = options.writes
        self.known, self.unknown, self.problems = {}, {}, []
        self.acknowledged = 0

    def run(self):
        """Answers whether the fault was reached."""
        self.platform.prefix = self.injection()
        try:
            self.platform.start(timeout=20)
            self.write()
        except RuntimeError:
            pass    # It ended before it was ready.
        finally:
            self.kill()
        text = open(self.trace, errors="replace").read() if os.path.exists(self.trace) else ""
        is_reached = "INJECTED" in text or "signal" in self.fault and self.was_killed
        self.platform.prefix = []
        self.platform.start(timeout=20)
        self.compare()
        self.platform.kill()
        self.leave()
        return is_reached

    def injection(self):
        """What runs the server so that the fault comes at the Nth call."""
        if self.fault.startswith("short"):
            error = next((f"SHORT_WRITE_ERROR={getattr(errno, word)}" for word in ("ENOSPC", "EIO") if word in self.fault), "NO_ERROR=1")
            return ["env", f"LD_PRELOAD={short_writes()}", f"SHORT_WRITE_AT={self.number}", f"SHORT_WRITE_LOG={self.trace}", error]
        return [
            "strace", "-f", "-qq", "-o", self.trace, "-e", f"trace={self.call}",
            "-e", f"inject={self.call}:{self.fault}:when={self.number}"]

    def kill(self):
        # The gateway outlives the server, and may be starting just now; strace ends when all have.
        self.was_killed = True
        for _ in range(100):
            for pid, command in self.platform.processes().items():
                if not command.startswith("strace"):
                    self.was_killed = self.was_killed and " serve " not in command
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            if self.platform.server is None or self.platform.server.poll() is not None:
                return
            time.sleep(0.1)
        raise RuntimeError("strace does not end")

    def write(self):
        try:
            connection = self.platform.connection(timeout=10)
            for index in range(self.writes):
                name, value = f"w{index % 5}", f"{index}:" + "x" * (index * 97 % 900)
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
                method, path = ("PUT", f"{PATH}/{name}") if name in self.known else ("POST", PATH)
                self.unknown = {name: value}
                status, answer = self.platform.request(method, path, body, connection=connection)
                if status in (200, 201):
                    # A full disk may have room again; after any other error nothing is known of the file.
                    if self.problems_after_error and "ENOSPC" not in self.fault:
                        self.problems.append(f"write {index} was acknowledged after a refusal")
                    self.known[name] = value
                    self.unknown = {}
                    self.acknowledged += 1
                elif status == 503:
                    self.problems_after_error = True
                    self.refused[name] = self.refused.get(name, set()) | {value}
                else:
                    self.problems.append(f"{method} {path}: {status} {str(answer)[:200]}")
        except (OSError, http.client.HTTPException):
            pass

    problems_after_error = False

    @property
    def refused(self):
        return self.__dict__.setdefault("_refused", {})

    def compare(self):
        status, answer = self.platform.request("GET", PATH)
        found = {item["metadata"]["name"]: item["data"]["value"] for item in answer["items"] if item["metadata"]["name"].startswith("w")}
        for name in sorted(set(found) | set(self.known)):
            allowed = {self.known.get(name)} | self.refused.get(name, set()) | ({self.unknown[name]} if name in self.unknown else set())
            if found.get(name) not in allowed:
                self.problems.append(f"{name} is {str(found.get(name))[:40]}, acknowledged was {str(self.known.get(name))[:40]}")

    def leave(self):
        for pid in self.platform.processes():
            os.kill(pid, signal.SIGKILL)
        if not self.problems:
            self.platform.remove()
            for path in (self.trace, f"{self.platform.directory}.log"):
                if os.path.exists(path):
                    os.remove(path)


def main():
    parser = argparse.ArgumentParser(
        prog="hack/crash --syscalls", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syscalls", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--writes", type=int, default=12)
    parser.add_argument("--most", type=int, default=400, help="stop a kind of fault after so many N")
    parser.add_argument("--only", help="one system call, such as fdatasync")
    parser.add_argument("--configuration", default="release", help="which build to use: release or debug")
    options = parser.parse_args()
    if not shutil.which("strace"):
        raise SystemExit("strace is missing: apt-get install strace")
    failed = runs = 0
    for call, fault in FAULTS:
        if options.only and call != options.only:
            continue
        reached = acknowledged = missed = 0
        for number in range(1, options.most + 1):
            run = Run(options, call, fault, number)
            try:
                is_reached = run.run()
            except BaseException:
                print(f"{call} {fault} {number}: data in {run.platform.directory}")
                raise
            runs += 1
            acknowledged += run.acknowledged
            for problem in run.problems:
                failed += 1
                print(f"PROBLEM {call} {fault} {number}: {problem} ({run.platform.directory})", flush=True)
            # Writes that go together need fewer calls: one run that does not get as far says little.
            missed = 0 if is_reached else missed + 1
            reached += is_reached
            if missed == 3:
                break
        print(f"{call} {fault}: {reached} calls hit, {acknowledged} writes acknowledged", flush=True)
    print(f"{runs} runs, {failed} problems")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
