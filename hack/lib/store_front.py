"""The store behind a socket (Tests/StoreServer) and etcd, as processes under test, and a client for the first.

Used by the store's campaigns and benchmark. Standard library only.
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import ROOT  # noqa: E402

# Whoever stops a script by a signal stops its servers too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

CACHE = os.environ.get("ESPALIER_CACHE", os.path.expanduser("~/.cache/espalier"))
ANYTHING = 2**64 - 1
DONE, CONFLICT, COMPACTED, FUTURE, REFUSED, EVENTS = range(6)


def build_server():
    """The release build of StoreServer: $STORE_SERVER, or built now."""
    if os.environ.get("STORE_SERVER"):
        return os.environ["STORE_SERVER"]
    scratch = os.environ.get("ESPALIER_SCRATCH", f"{CACHE}/build")
    command = ["swift", "build", "-c", "release", "--product", "StoreServer", "--scratch-path", scratch]
    print("building StoreServer", flush=True)
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    return f"{scratch}/release/StoreServer"


def build_generator():
    """The load generator, compiled from hack/lib/store_load.c where that is newer."""
    source, binary = f"{ROOT}/hack/lib/store_load.c", f"{CACHE}/store_load"
    if not os.path.exists(binary) or os.stat(binary).st_mtime < os.stat(source).st_mtime:
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", binary, source], check=True)
    return binary


def real_folder(parent=None):
    """A new folder on a real file system: what a crash leaves on tmpfs proves nothing, and its syncs cost nothing."""
    folder = tempfile.mkdtemp(prefix="espalier-store-", dir=parent)
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], text=True, capture_output=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        shutil.rmtree(folder)
        raise SystemExit(f"{folder} is on {kind}; name a folder on a disk with --directory or TMPDIR")
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peer:
    """A server process with a folder of its own."""

    name = ""

    def __init__(self, folder):
        self.folder, self.process, self.port = folder, None, 0

    def start(self, timeout=120, wrapper=()):
        """Starts it and returns the seconds until it served."""
        began = time.monotonic()
        log = open(f"{self.folder}.{self.name}.log", "ab")
        self.process = subprocess.Popen(
            [*wrapper, *self.command()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        while not self.serves():
            if self.process.poll() is not None or time.monotonic() - began > timeout:
                self.kill()
                raise RuntimeError(f"{self.name} does not serve; see {log.name}")
            time.sleep(0.002)
        return time.monotonic() - began

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        """kill -9, and the folder stays."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def disk_bytes(self):
        return int(subprocess.run(["du", "-s", "-B1", self.folder], text=True, capture_output=True).stdout.split()[0])

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(f"{self.folder}.{self.name}.log"):
            os.remove(f"{self.folder}.{self.name}.log")


class Espalier(Peer):
    name = "espalier"

    def __init__(self, folder, binary):
        super().__init__(folder)
        self.binary = binary

    def command(self):
        self.port = 0
        return [self.binary, "--directory", self.folder]

    def serves(self):
        """Reads the line that says where it listens; the store is open by then."""
        while not self.port:
            line = self.process.stdout.readline()
            if not line:
                return False
            if line.startswith(b"listening "):
                self.port = int(line.split()[1])
        with StoreClient(self.port) as client:
            client.status()
        return True


class Etcd(Peer):
    name = "etcd"

    def command(self):
        self.port, peer = free_port(), free_port()
        return [
            "etcd", "--data-dir", f"{self.folder}/etcd", "--log-level", "error", "--quota-backend-bytes", str(8 << 30),
            # As much history as Espalier keeps.
            "--auto-compaction-mode", "revision", "--auto-compaction-retention", "50000",
            "--listen-client-urls", f"http://127.0.0.1:{self.port}", "--advertise-client-urls", f"http://127.0.0.1:{self.port}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", f"default=http://127.0.0.1:{peer}"]

    def serves(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return b"true" in answer.read()
        except OSError:
            return False

    @staticmethod
    def is_installed():
        return shutil.which("etcd") is not None


class StoreClient:
    """One connection to StoreServer; Wire.swift has the protocol. Raises OSError when the server is gone."""

    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, kind, body=b""):
        """Sends a request and answers its number."""
        self.last_id += 1
        self.socket.sendall(struct.pack("<IBI", 5 + len(body), kind, self.last_id) + body)
        return self.last_id

    def receive(self):
        """The next frame: (status, id, body)."""
        length = struct.unpack("<I", self._take(4))[0]
        frame = self._take(length)
        return frame[0], struct.unpack_from("<I", frame, 1)[0], frame[5:]

    def _take(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 18)
            if not more:
                raise ConnectionResetError("the server closed the connection")
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def ask(self, kind, body=b""):
        number = self.send(kind, body)
        while True:
            status, answered, body = self.receive()
            if answered == number:
                return status, body

    @staticmethod
    def field(data):
        return struct.pack("<H", len(data)) + data

    @staticmethod
    def entries(body):
        """(revision, [(revision, key, value)]) of a read or list."""
        revision, count = struct.unpack_from("<QI", body)
        return revision, StoreClient._entries(body, 12, count, False)

    @staticmethod
    def events(body):
        """(complete up to, [(kind, revision, key, value)]) of a watch's frame."""
        revision, count = struct.unpack_from("<QI", body)
        return revision, StoreClient._entries(body, 12, count, True)

    @staticmethod
    def _entries(body, offset, count, have_kinds):
        found = []
        for _ in range(count):
            kind = ()
            if have_kinds:
                kind = (body[offset],)
                offset += 1
            revision, length = struct.unpack_from("<QH", body, offset)
            key = body[offset + 10:offset + 10 + length]
            offset += 10 + length
            size = struct.unpack_from("<I", body, offset)[0]
            found.append((*kind, revision, key, body[offset + 4:offset + 4 + size]))
            offset += 4 + size
        return found

    def put(self, key, value, compare=ANYTHING):
        """(status, revision)"""
        status, body = self.ask(1, struct.pack("<Q", compare) + self.field(key) + value)
        return status, struct.unpack("<Q", body)[0] if status in (DONE, CONFLICT) else body

    def delete(self, key, compare=ANYTHING):
        status, body = self.ask(2, struct.pack("<Q", compare) + self.field(key))
        return status, struct.unpack("<Q", body)[0] if status in (DONE, CONFLICT) else body

    def get(self, key):
        """(revision of the read, entry or None)"""
        status, body = self.ask(3, self.field(key))
        if status != DONE:
            raise ConnectionError(body.decode(errors="replace"))
        revision, entries = self.entries(body)
        return revision, entries[0] if entries else None

    def list(self, prefix, revision=0, limit=0, after=b""):
        """(status, revision, entries)"""
        status, body = self.ask(4, struct.pack("<QI", revision, limit) + self.field(prefix) + self.field(after))
        return (status, *self.entries(body)) if status == DONE else (status, 0, [])

    def watch(self, prefix, after):
        return self.send(5, struct.pack("<Q", after) + self.field(prefix))

    def compact(self, revision):
        return self.ask(6, struct.pack("<Q", revision))[0]

    def status(self):
        """(sequenced, durable, compacted, keys)"""
        return struct.unpack("<QQQQ", self.ask(7)[1])


def key(name, namespace="default", resource="documents"):
    return b"\0".join((b"", resource.encode(), namespace.encode(), name.encode()))


def prefix(namespace="default", resource="documents"):
    return b"\0".join((b"", resource.encode(), namespace.encode(), b""))
