"""The gateway beside HAProxy: the same load generator, the same backend, in turns."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from espalier_platform import ROOT, cpu_seconds, memory, wait_until

BODY_BYTES = 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
        return link.recv(100).startswith(b"HTTP/1.1 200")


class Bench:
    """A backend (HAProxy that answers by itself), HAProxy as a proxy before it, and our gateway before it."""

    def __init__(self, binary):
        self.directory = tempfile.mkdtemp(prefix="espalier-bench-")
        self.processes = []
        self.backend, self.haproxy = free_port(), free_port()
        self.start_haproxy(
            "backend", self.backend, 1, f'http-request return status 200 content-type text/plain string "{"x" * BODY_BYTES}"')
        self.peer = self.start_haproxy(
            "peer", self.haproxy, 2, "default_backend there\n  option forwardfor",
            f"backend there\n  http-reuse always\n  server one 127.0.0.1:{self.backend}")
        self.ours, self.gateway = self.start_gateway(binary)

    def spawn(self, *command):
        log = open(f"{self.directory}/log", "ab")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_haproxy(self, name, port, threads, frontend, rest=""):
        path = f"{self.directory}/{name}.cfg"
        with open(path, "w") as file:
            file.write(
                f"global\n  nbthread {threads}\n  maxconn 4000\ndefaults\n  mode http\n  timeout client 60s\n"
                f"  timeout connect 5s\n  timeout server 60s\n  timeout http-keep-alive 60s\n"
                f"frontend {name}\n  bind 127.0.0.1:{port}\n  {frontend}\n{rest}\n")
        process = self.spawn(shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", path)
        wait_until(f"HAProxy as {name}", lambda: answers(port), 10)
        return process

    def start_gateway(self, binary):
        path = f"{self.directory}/gateway"
        process = self.spawn(
            binary, "gateway", "--socket", f"{path}.sock", "--listen", "127.0.0.1:0", "--state", f"{path}.table.json",
            "--address-file", f"{path}.address")
        wait_until("the gateway", lambda: os.path.exists(f"{path}.sock") and os.path.exists(f"{path}.address"), 10)
        with socket.socket(socket.AF_UNIX) as link:
            wait_until("the control socket", lambda: link.connect(f"{path}.sock") is None, 10)
            table = {
                "hosts": [{"host": "bench.test", "matches": [{"prefix": "", "rule": 0}]}],
                "rules": [{"name": "n/r/0", "backends": [{"backend": 0, "weight": 1}]}],
                "backends": [{"name": "n/b:80", "endpoints": [f"127.0.0.1:{self.backend}"]}]}
            body = json.dumps({"type": "table", "generation": 1, "table": table}).encode()
            link.sendall(struct.pack(">I", len(body)) + body)
            port = int(open(f"{path}.address").read().rsplit(":", 1)[1])
            wait_until("the gateway's table", lambda: answers(port), 10)
        return process, port

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


def milliseconds(text):
    found = re.match(r"([\d.]+)(us|ms|s|m|h)$", text)
    # wrk says "-nanus" where nothing was answered.
    if not found:
        return float("nan")
    number, unit = found.groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000, "h": 3_600_000}[unit]


def load(port, connections, seconds):
    """One run of wrk; answers requests, seconds, p50 and p99 in ms, and what went wrong."""
    text = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-H", "Host: bench.test", f"http://127.0.0.1:{port}/"],
        capture_output=True, text=True, check=True).stdout
    requests, took, unit = re.search(r"(\d+) requests in ([\d.]+)(m|s)", text).groups()
    problems = [line.strip() for line in text.splitlines() if "Socket errors" in line or "Non-2xx" in line]
    return {
        "requests": int(requests), "seconds": float(took) * (60 if unit == "m" else 1),
        "p50": milliseconds(re.search(r"50%\s+(\S+)", text).group(1)),
        "p99": milliseconds(re.search(r"99%\s+(\S+)", text).group(1)), "problems": problems}


def run(binary, options):
    for tool in ("haproxy", "wrk"):
        if not (shutil.which(tool) or os.path.exists(f"/usr/sbin/{tool}")):
            subprocess.run([f"{ROOT}/hack/install-dependencies", "haproxy", "wrk"], check=True)
    bench = Bench(binary)
    try:
        ways = [("direct", bench.backend, None), ("HAProxy", bench.haproxy, bench.peer), ("espalier", bench.gateway, bench.ours)]
        results = {name: [] for name, _, _ in ways}
        for _, port, _ in ways:
            load(port, options.connections, 1)
        for _ in range(options.rounds):
            for name, port, process in ways:
                before = cpu_seconds(process.pid) if process else 0
                result = load(port, options.connections, options.seconds)
                result["cpu"] = (cpu_seconds(process.pid) - before) if process else 0
                results[name].append(result)
                time.sleep(0.2)
        print(f"proxy: {BODY_BYTES} byte answers, {options.connections} keep-alive connections, "
              f"{options.rounds} rounds of {options.seconds:g} s in turns, everything on this machine")
        print(f"  {'':10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/req':>12}{'memory MB':>11}  rounds (requests/s)")
        rates = {}
        for name, _, process in ways:
            runs = results[name]
            total = sum(run["requests"] for run in runs)
            rates[name] = total / sum(run["seconds"] for run in runs)
            median = sorted(runs, key=lambda run: run["p99"])[len(runs) // 2]
            cpu = f"{1e6 * sum(run['cpu'] for run in runs) / total:.1f}" if process else "-"
            size = f"{memory(process.pid) / 1e6:.0f}" if process else "-"
            each = " ".join(f"{run['requests'] / run['seconds']:.0f}" for run in runs)
            print(f"  {name:10}{rates[name]:12.0f}{median['p50']:9.2f}{median['p99']:9.2f}{cpu:>12}{size:>11}  {each}")
            for problem in sorted({problem for run in runs for problem in run["problems"]}):
                print(f"    {problem}")
        print(f"  espalier / HAProxy: {rates['espalier'] / rates['HAProxy']:.2f} (goal 0.50)")
    finally:
        bench.stop()
