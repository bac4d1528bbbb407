"""The API under load: how soon it is there, how much it holds, what a create costs."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from bench_proxy import milliseconds
from espalier_platform import ROOT, Platform, cpu_seconds, memory, wait_until

GROUP, PLURAL = "bench.example.com", "gadgets"

DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP, "scope": "Namespaced",
        "names": {"plural": PLURAL, "singular": "gadget", "kind": "Gadget", "listKind": "GadgetList"},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "required": ["replicas"], "properties": {
                    "replicas": {"type": "integer", "minimum": 0, "maximum": 100},
                    "mode": {"type": "string", "enum": ["Fast", "Safe"], "default": "Safe"},
                    "parts": {"type": "array", "maxItems": 100, "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string", "maxLength": 63}, "size": {"type": "integer"},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "note": {"type": "string"}}}}}},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}

# The load generator's side: one document of about 2 KB after another, each with a name of its own.
SCRIPT = """
local threads, made = 0, 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
function init(args)
  run = args[1]
  local parts = {}
  for number = 1, 16 do
    parts[number] = string.format(
      '{"name":"part-%d","size":%d,"labels":{"app":"bench","tier":"t%d"},"note":"the quick brown fox jumps over it"}',
      number, number, number)
  end
  rest = '","namespace":"default","labels":{"app":"bench"}},"spec":{"replicas":3,"parts":[' .. table.concat(parts, ",") .. ']}}'
end
function request()
  made = made + 1
  local name = run .. "-" .. id .. "-" .. made
  return wrk.format("POST", nil, nil,
    '{"apiVersion":"bench.example.com/v1","kind":"Gadget","metadata":{"name":"' .. name .. rest)
end
"""


def start_figures(binary, options):
    """Seconds to ready on a fresh directory and on a used one, and memory when idle."""
    fresh, again, server, gateway = [], [], 0, 0
    for round_number in range(options.rounds):
        platform = Platform(binary)
        try:
            fresh.append(platform.start())
            platform.stop()
            again.append(platform.start())
            if round_number == 0:
                time.sleep(3)
                server = memory(platform.server.pid)
                gateway = sum(memory(pid) for pid, command in platform.processes().items() if " gateway " in command)
        finally:
            platform.stop()
            platform.remove()
    print(f"api: start to ready: {1000 * sorted(fresh)[len(fresh) // 2]:.0f} ms on an empty directory, "
          f"{1000 * sorted(again)[len(again) // 2]:.0f} ms on a used one (goal 150; median of {options.rounds})")
    print(f"  idle memory: server {server / 1e6:.1f} MB (goal 40), gateway {gateway / 1e6:.1f} MB")


def create(platform, script, connections, seconds):
    """Creates documents over so many keep-alive TLS connections for a while."""
    run = f"c{connections}-{int(time.time())}"
    count = lambda: platform.request(  # noqa: E731
        "GET", f"/apis/{GROUP}/v1/namespaces/default/{PLURAL}?limit=1")[1]
    before = cpu_seconds(platform.server.pid)
    generator = subprocess.Popen(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "10s", "-s", script,
         "-H", f"Authorization: Bearer {platform.token}", "-H", "Content-Type: application/json",
         f"https://{platform.host}:{platform.port}/apis/{GROUP}/v1/namespaces/default/{PLURAL}", "--", run],
        stdout=subprocess.PIPE, text=True)
    text = generator.stdout.read()
    _, status, usage = os.wait4(generator.pid, 0)
    generator.returncode = os.waitstatus_to_exitcode(status)
    cpu = cpu_seconds(platform.server.pid) - before
    requests, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
    p50, p99 = (milliseconds(re.search(rf"{share}%\s+(\S+)", text).group(1)) for share in (50, 99))
    requests = int(requests)
    listed = count()
    print(f"  {connections:7}{requests / float(took):10.0f}{p50:9.2f}{p99:9.2f}{1e6 * cpu / max(1, requests):14.0f}"
          f"{1e6 * (usage.ru_utime + usage.ru_stime) / max(1, requests):17.0f}"
          f"{len(listed['items']) + listed['metadata'].get('remainingItemCount', 0):11}")
    for line in text.splitlines():
        if "Non-2xx" in line or "Socket errors" in line:
            print(f"    {line.strip()}")


def run(binary, options):
    if not shutil.which("wrk"):
        subprocess.run([f"{ROOT}/hack/install-dependencies", "wrk"], check=True)
    start_figures(binary, options)
    platform = Platform(binary)
    platform.start()
    try:
        status, answer = platform.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
        if status != 201:
            raise SystemExit(f"the bench's definition was answered {status}: {answer}")
        wait_until("the bench's kind", lambda: platform.request("GET", f"/apis/{GROUP}/v1/{PLURAL}")[0] == 200)
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(SCRIPT)
            script.flush()
            print("  creates of 2 KB custom resources over TLS:")
            print(f"  {'clients':>7}{'create/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'server us/op':>14}{'generator us/op':>17}"
                  f"{'documents':>11}  (goal 350 us of server CPU)")
            for connections in (1, 64):
                create(platform, script.name, connections, options.seconds)
            print(f"  memory then: server {memory(platform.server.pid) / 1e6:.1f} MB")
    finally:
        platform.stop()
        platform.remove()
