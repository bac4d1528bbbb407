"""Load on any Kubernetes API: wrk for requests, and watchers that time what reaches them. Used by hack/bench api.

Speaks the Kubernetes API and nothing else. CPU and memory are read from /proc where the server's processes are known.
"""
import json
import os
import re
import selectors
import ssl
import subprocess
import tempfile
import threading
import time

from bench_proxy import milliseconds
from espalier_platform import ROOT, cpu_seconds, memory, percentile

GROUP, VERSION, PLURAL, KIND, NAMESPACE = "bench.example.com", "v1", "gadgets", "Gadget", "bench"
COLLECTION = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{PLURAL}"
TYPES = {"merge": "application/merge-patch+json", "apply": "application/apply-patch+yaml", "same": "application/apply-patch+yaml"}


def cpu(pids):
    return sum(cpu_seconds(pid) for pid in pids)


def resident(pids):
    return sum(memory(pid) for pid in pids)


def names(server, count):
    """Up to `count` documents as lines of name and resourceVersion."""
    lines, token = [], ""
    while len(lines) < count:
        page = server.request("GET", f"{COLLECTION}?limit=500{token}")[1]
        lines += [f"{item['metadata']['name']} {item['metadata']['resourceVersion']}" for item in page["items"]]
        if not page["metadata"].get("continue"):
            break
        token = "&continue=" + page["metadata"]["continue"]
    return lines[:count]


def load(server, pids, operation, connections, seconds, existing=()):
    """One operation over so many keep-alive TLS connections for a while; answers its figures."""
    with tempfile.TemporaryDirectory() as folder:
        script = f"{folder}/load.lua"
        text = open(f"{ROOT}/hack/lib/api_load.lua").read()
        # Answers are looked at where the next request depends on them: it costs the generator what it looks at.
        open(script, "w").write(text + ("\nresponse = answered\n" if operation == "status" else ""))
        listed = f"{folder}/names"
        open(listed, "w").write("".join(f"{line}\n" for line in existing))
        prefix = f"bench-{operation}{connections}-{time.monotonic_ns()}"
        before, began = cpu(pids), time.monotonic()
        generator = subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "10s", "-s", script,
             "-H", f"Authorization: Bearer {server.token}", "-H", f"Content-Type: {TYPES.get(operation, 'application/json')}",
             f"https://{server.host}:{server.port}/", "--",
             operation, GROUP, VERSION, PLURAL, KIND, NAMESPACE, prefix, *([listed] if existing else [])],
            stdout=subprocess.PIPE, text=True)
        text = generator.stdout.read()
        _, status, usage = os.wait4(generator.pid, 0)
        generator.returncode = os.waitstatus_to_exitcode(status)
        used, took = cpu(pids) - before, time.monotonic() - began
    requests = int(re.search(r"(\d+) requests in", text).group(1))
    p50, p99 = (milliseconds(re.search(rf"{share}%\s+(\S+)", text).group(1)) for share in (50, 99))
    return {
        "rate": requests / took, "p50": p50, "p99": p99, "cpu": 1e6 * used / max(1, requests),
        "generator": 1e6 * (usage.ru_utime + usage.ru_stime) / max(1, requests),
        "complaints": [line.strip() for line in text.splitlines() if "Non-2xx" in line or "Socket errors" in line]}


class Watchers:
    """Connections with a watch each over the whole collection, read by one thread."""

    def __init__(self, server, count):
        self.events, self.delays, self.stopped = 0, [], False
        self.selector = selectors.DefaultSelector()
        revision = server.request("GET", f"{COLLECTION}?limit=1")[1]["metadata"]["resourceVersion"]
        for _ in range(count):
            link = server.connection()
            link.sock.sendall((
                f"GET {COLLECTION}?watch=true&resourceVersion={revision} HTTP/1.1\r\nHost: {server.host}\r\n"
                f"Authorization: Bearer {server.token}\r\nAccept: application/json\r\n\r\n").encode())
            link.sock.setblocking(False)
            self.selector.register(link.sock, selectors.EVENT_READ, [link, b""])
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.1):
                link, rest = key.data
                try:
                    while True:
                        data = key.fileobj.recv(262144)
                        if not data:
                            raise SystemExit("a watch ended")
                        rest += data
                except (ssl.SSLWantReadError, BlockingIOError):
                    pass
                now = time.monotonic_ns()
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    if sent := re.search(rb'"sent":"(\d+)"', line):
                        self.events += 1
                        self.delays.append((now - int(sent.group(1))) / 1e6)
                key.data[1] = rest

    def close(self):
        self.stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()


def watch(server, pids, watchers, seconds, rate):
    """Writes one document `rate` times a second (0: as fast as it goes) and times the events at every watcher."""
    name = names(server, 1)[0].split()[0]
    readers = Watchers(server, watchers)
    link = server.connection()
    time.sleep(0.5)    # until every watch has begun
    before, began, writes = cpu(pids), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        body = json.dumps({"metadata": {"annotations": {"sent": str(time.monotonic_ns())}}})
        status, answer = server.request("PATCH", f"{COLLECTION}/{name}", body, TYPES["merge"], connection=link)
        if status != 200:
            raise SystemExit(f"a patch was answered {status}: {answer}")
        writes += 1
        if rate:
            time.sleep(max(0, began + writes / rate - time.monotonic()))
    deadline = time.monotonic() + 10
    while readers.events < writes * watchers and time.monotonic() < deadline:
        time.sleep(0.01)
    took, used = time.monotonic() - began, cpu(pids) - before
    readers.close()
    return {"events": readers.events, "expected": writes * watchers, "rate": readers.events / took,
            "p50": percentile(readers.delays, 0.5), "p99": percentile(readers.delays, 0.99),
            "cpu": 1e6 * used / max(1, readers.events)}
