"""The Kubernetes API under load, over HTTPS: what each verb costs, lists, watchers, memory, start.

Of a server of its own, or with --kubeconfig of any that is there; its processes' CPU and memory then with --pid. The goals beside
the figures are those for Espalier (kube-apiserver with etcd on a machine of this kind took ten times as long and more).
"""
import re
import shutil
import subprocess
import time

import api_load
from api_load import COLLECTION, GROUP, KIND, NAMESPACE, PLURAL, VERSION, cpu, load, names, resident, watch
from espalier_platform import ROOT, Platform, memory, wait_until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
# Microseconds of server CPU for one operation.
GOALS = {"create": 350, "get": 60, "apply": 1000, "same": 1000}
WORDS = {"status": "update status", "merge": "merge patch", "apply": "apply, changed", "same": "apply, the same"}


def definition(group=GROUP):
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{PLURAL}.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": PLURAL, "singular": "gadget", "kind": KIND, "listKind": f"{KIND}List"},
            "versions": [{
                "name": VERSION, "served": True, "storage": True, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["replicas"], "properties": {
                        "replicas": {"type": "integer", "minimum": 0, "maximum": 100},
                        "mode": {"type": "string", "enum": ["Fast", "Safe"], "default": "Safe"},
                        "parts": {"type": "array", "maxItems": 100, "items": {"type": "object", "required": ["name"], "properties": {
                            "name": {"type": "string", "maxLength": 63}, "size": {"type": "integer"},
                            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                            "note": {"type": "string"}}}}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


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


def prepare(server):
    """The bench's kind and namespace."""
    for path, body in ((DEFINITIONS, definition()), ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})):
        status, answer = server.request("POST", path, body)
        if status not in (201, 409):
            raise SystemExit(f"POST {path} was answered {status}: {answer}")
    wait_until("the bench's kind", lambda: server.request("GET", COLLECTION)[0] == 200)


def count(server):
    metadata = server.request("GET", f"{COLLECTION}?limit=1")[1]
    return len(metadata["items"]) + metadata["metadata"].get("remainingItemCount", 0)


def fill(server, pids, wanted):
    """Documents up to exactly so many: most of them fast, the last ones one by one."""
    while count(server) < wanted - 4000:
        if load(server, pids, "create", 64, 1)["rate"] < 1:
            raise SystemExit("nothing is created any more")
    parts = [{"name": f"part-{number}", "size": number, "labels": {"app": "bench", "tier": f"t{number}"},
              "note": "the quick brown fox jumps over it"} for number in range(1, 17)]
    link, prefix = server.connection(), f"bench-fill{time.monotonic_ns()}"
    for number in range(wanted - count(server)):
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "spec": {"replicas": 3, "parts": parts},
                "metadata": {"name": f"{prefix}-{number}", "labels": {"app": "bench"}}}
        status, answer = server.request("POST", COLLECTION, body, connection=link)
        if status != 201:
            raise SystemExit(f"a create was answered {status}: {answer}")


def show(name, connections, figures):
    goal = f"  (goal {GOALS[name]})" if name in GOALS else ""
    print(f"  {WORDS.get(name, name):16}{connections:8}{figures['rate']:10.0f}{figures['p50']:9.2f}{figures['p99']:9.2f}"
          f"{figures['cpu']:14.0f}{figures['generator']:14.0f}{goal}", flush=True)
    for complaint in figures["complaints"]:
        print(f"    {complaint}")


def verbs(server, pids, options):
    print(f"  {'operation':16}{'clients':>8}{'/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'server us/op':>14}{'generator us':>14}"
          "  on custom resources of 2 KB")
    for operation in ("create", "get", "status", "merge", "apply", "same"):
        for connections in (1, 16, 64):
            existing = () if operation == "create" else names(server, 200 if operation == "same" else 1000)
            show(operation, connections, load(server, pids, operation, connections, options.seconds, existing))


def read(server, path, accept, link):
    link.request("GET", path, headers={"Authorization": f"Bearer {server.token}", "Accept": accept})
    answer = link.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {body[:300]}")
    return body


def lists(server, pids, options):
    """A list of all there is: whole, in pages of 500, and as a Table."""
    link, there = server.connection(120), count(server)
    for name, query, accept in (("full", "", "application/json"), ("pages of 500", "?limit=500", "application/json"), ("Table", "", TABLE)):
        before, times, size = cpu(pids), [], 0
        for _ in range(options.rounds):
            began, target = time.monotonic(), COLLECTION + query
            size = 0
            while target:
                body = read(server, target, accept, link)
                size += len(body)
                token = re.search(rb'"continue": ?"([^"]+)"', body[-4096:] + body[:4096]) if query else None
                target = f"{COLLECTION}{query}&continue={token.group(1).decode()}" if token else None
            times.append(1000 * (time.monotonic() - began))
        print(f"  list of {there}, {name}: {sorted(times)[len(times) // 2]:.0f} ms, {size / 1e6:.1f} MB, "
              f"{1000 * (cpu(pids) - before) / options.rounds:.0f} ms of server CPU" + (" (goal 60 for 10,000)" if name == "full" else ""),
              flush=True)


def watchers(server, pids, options):
    for number, rate in ((1, 20), (100, 10), (1000, 2), (1000, 0)):
        found = watch(server, pids, number, options.seconds, rate)
        pace = f"{rate} writes/s" if rate else "flat out"
        print(f"  {number} watchers, {pace}: {found['events']} of {found['expected']} events, {found['rate']:.0f}/s, send to event p50 "
              f"{found['p50']:.1f} ms, p99 {found['p99']:.1f} ms, {found['cpu']:.0f} us of server CPU an event"
              + (" (goal p99 60)" if rate and number == 1000 else ""), flush=True)


def definitions(server, pids, number=100):
    """What each further kind takes in memory."""
    before = resident(pids)
    for index in range(number):
        status, answer = server.request("POST", DEFINITIONS, definition(f"g{index}.example.com"))
        if status not in (201, 409):
            raise SystemExit(f"a definition was answered {status}: {answer}")
    wait_until("the last kind", lambda: server.request("GET", f"/apis/g{number - 1}.example.com/{VERSION}/{PLURAL}")[0] == 200)
    time.sleep(1)
    print(f"  memory per definition: {(resident(pids) - before) / number / 1e3:.0f} KB (mean of {number})", flush=True)


def attached(kubeconfig):
    """A server somebody else runs: the part of `Platform` that the load needs."""
    server = Platform.__new__(Platform)
    text = open(kubeconfig).read()
    server.host, port = re.search(r"server: \"?https://([^:\"\s]+):(\d+)", text).groups()
    server.port, server.token = int(port), re.search(r"token: \"?([^\"\s]+)", text).group(1)
    server.context = api_load.ssl._create_unverified_context()
    return server


def run(binary, options):
    if not shutil.which("wrk"):
        subprocess.run([f"{ROOT}/hack/install-dependencies", "wrk"], check=True)
    own = None
    if options.kubeconfig:
        server, pids = attached(options.kubeconfig), options.pid
    else:
        start_figures(binary, options)
        server = own = Platform(binary)
        server.start()
        pids = [server.server.pid]
    try:
        prepare(server)
        definitions(server, pids)
        fill(server, pids, 10_000)
        print(f"  memory with 10,000 objects: {resident(pids) / 1e6:.1f} MB (goal 120)", flush=True)
        lists(server, pids, options)
        watchers(server, pids, options)
        verbs(server, pids, options)
        if options.full:
            fill(server, pids, 100_000)
            print(f"  memory with 100,000 objects: {resident(pids) / 1e6:.1f} MB (goal 600)", flush=True)
        if own and options.full:
            own.stop()
            print(f"  start with 100,000 objects: {1000 * own.start():.0f} ms (goal 1000)")
    finally:
        if own:
            own.stop()
            own.remove()
