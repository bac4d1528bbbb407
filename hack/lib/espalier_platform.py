"""One Espalier under test: starts the real binary on free ports, talks to its API, stops it, and finds what it left.

Used by the campaigns and benchmarks in hack/. Standard library only.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find_binary(configuration="release"):
    """The espalier binary: $ESPALIER, else the one that hack/up or hack/test built."""
    scratch = os.environ.get("ESPALIER_SCRATCH", os.path.expanduser("~/.cache/espalier/build"))
    for path in (os.environ.get("ESPALIER"), f"{scratch}/{configuration}/espalier", f"{ROOT}/.build/{configuration}/espalier"):
        if path and os.access(path, os.X_OK):
            return path
    raise SystemExit(f"No {configuration} build of espalier found. Build one with hack/up, or name it in $ESPALIER.")


class Platform:
    """A server with a data directory of its own. `url` and `gateway` are known once `start` has returned."""

    def __init__(self, binary, directory=None, arguments=()):
        self.binary = binary
        self.directory = directory or tempfile.mkdtemp(prefix="espalier-")
        self.arguments = list(arguments)
        self.server = None
        self.prefix = []    # what runs the server, such as strace with its options

    def start(self, timeout=30, listen="127.0.0.1:0", gateway="127.0.0.1:0"):
        """Starts the server and returns the seconds until /readyz answered."""
        log = open(os.path.join(self.directory, "..", os.path.basename(self.directory) + ".log"), "ab")
        kubeconfig = f"{self.directory}/kubeconfig"
        before = os.stat(kubeconfig).st_mtime_ns if os.path.exists(kubeconfig) else 0
        began = time.monotonic()
        self.server = subprocess.Popen(
            [*self.prefix, self.binary, "serve", "--data-dir", self.directory, "--listen", listen, "--gateway-listen", gateway, *self.arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        while time.monotonic() - began < timeout:
            if self.server.poll() is not None:
                raise RuntimeError(f"the server ended with {self.server.returncode}; see {log.name}")
            if os.path.exists(kubeconfig) and os.stat(kubeconfig).st_mtime_ns != before:
                self._read_kubeconfig(kubeconfig)
                try:
                    if self.request("GET", "/readyz", timeout=2)[0] == 200:
                        return time.monotonic() - began
                except OSError:
                    pass
            time.sleep(0.002)
        raise RuntimeError(f"the server was not ready after {timeout} s; see {log.name}")

    def _read_kubeconfig(self, path):
        text = open(path).read()
        self.host, port = re.search(r"server: \"?https://([^:\"\s]+):(\d+)", text).groups()
        self.port = int(port)
        self.token = re.search(r"token: \"?([^\"\s]+)", text).group(1)
        self.context = ssl.create_default_context(cafile=f"{self.directory}/pki/ca.crt")

    def connection(self, timeout=30):
        """A new keep-alive connection to the API."""
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def request(self, method, path, body=None, content_type="application/json", connection=None, timeout=30):
        """One API request; answers (status, parsed body or text)."""
        link = connection or self.connection(timeout)
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        link.request(method, path, data, {"Authorization": f"Bearer {self.token}", "Content-Type": content_type})
        answer = link.getresponse()
        payload = answer.read()
        if connection is None:
            link.close()
        is_json = answer.getheader("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(payload) if is_json else payload.decode(errors="replace")

    def espalier(self, *arguments, check=True, stdin=None):
        """Runs the command line against this server; answers its standard output."""
        done = subprocess.run(
            [self.binary, *arguments, "--kubeconfig", f"{self.directory}/kubeconfig"], input=stdin, text=True, capture_output=True)
        if check and done.returncode:
            raise RuntimeError(f"espalier {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    @property
    def gateway(self):
        """(host, port) of the gateway."""
        host, port = open(f"{self.directory}/gateway.address").read().strip().rsplit(":", 1)
        return host, int(port)

    def kill(self):
        """kill -9 to the server alone: its gateway and pods live on, as after a crash."""
        self.server.kill()
        self.server.wait()

    def stop(self, timeout=30):
        """A clean stop by SIGTERM; answers the exit code."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
        return self.server.wait(timeout) if self.server else None

    @property
    def mark(self):
        """The environment entry of all processes of this server: FNV-1a of its data directory, the lowest 24 bits."""
        number = 0xCBF29CE484222325
        for byte in os.path.realpath(self.directory).encode():
            number = ((number ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
        return f"ESPALIER_INSTANCE={number & 0xFFFFFF:06x}\0"

    def processes(self):
        """Pids of every process that belongs to this data directory, by command line or environment: server, gateway, pods."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                command = open(f"/proc/{entry}/cmdline", "rb").read().replace(b"\0", b" ").decode(errors="replace").strip()
                environment = open(f"/proc/{entry}/environ", "rb").read().decode(errors="replace")
            except OSError:
                continue
            if self.directory in command or self.mark in environment:
                found[int(entry)] = command
        return found

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def cpu_seconds(pid):
    """User and system CPU seconds that a process has used."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid, field="VmRSS"):
    """Bytes of memory a process holds: VmRSS, or RssAnon."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def wait_until(what, condition, timeout=30, pause=0.02):
    """Polls until `condition()` is true; answers the seconds it took, fails with `what` otherwise."""
    began = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - began
        except (OSError, RuntimeError, KeyError, IndexError):
            pass
        if time.monotonic() - began > timeout:
            raise SystemExit(f"waited {timeout} s for: {what}")
        time.sleep(pause)


def percentile(values, share):
    """The value below which `share` (0…1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
