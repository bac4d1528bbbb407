"""Pods of one server under test: made, waited for, deleted, and what of them is on the machine."""
import glob
import json
import os
import subprocess
import time

from image_engine import IMAGE

PODS = "/api/v1/namespaces/default/pods"


def document(name, runtime):
    container = {"name": "main", "command": ["sleep", "100000"]}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    if runtime == "process":
        spec["runtimeClassName"] = "espalier-process"
    else:
        container["image"] = IMAGE
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def is_ready(pod):
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def wait(platform, link, wanted, what, timeout=120):
    """Asks until `wanted(pods)`."""
    began = time.monotonic()
    while True:
        pods = platform.request("GET", PODS, connection=link)[1]["items"]
        if wanted(pods):
            return
        if time.monotonic() - began > timeout:
            raise SystemExit(f"waited in vain for {what}: {json.dumps([p['status'] for p in pods if not is_ready(p)][:1])}")
        time.sleep(0.005)


def make(platform, link, count, runtime, prefix="p"):
    """Seconds from the first request until all are Ready."""
    began = time.monotonic()
    for number in range(count):
        status, answer = platform.request("POST", PODS, document(f"{prefix}{number}", runtime), connection=link)
        if status != 201:
            raise SystemExit(f"a pod was refused: {answer}")
    wait(platform, link, lambda pods: len(pods) >= count and all(map(is_ready, pods)), f"{count} pods as {runtime}")
    return time.monotonic() - began


def remove(platform, link):
    """Seconds from the request until none is left."""
    began = time.monotonic()
    for pod in platform.request("GET", PODS, connection=link)[1]["items"]:
        platform.request("DELETE", f"{PODS}/{pod['metadata']['name']}", connection=link)
    wait(platform, link, lambda pods: not pods, "the pods to go")
    return time.monotonic() - began


def footprint(platform):
    """What a server and its pods have on this machine, by kind."""
    def count(pattern):
        return len(glob.glob(pattern))

    mark = platform.mark.rstrip("\0").split("=")[1]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.splitlines()
    links = [line for line in links if mark[:5] in line]
    return {
        "processes": len(platform.processes()),
        "mounts": len(open("/proc/self/mountinfo").read().splitlines()),
        "network namespaces": count(f"/run/netns/*{mark}*"),
        "links": len(links),
        "control groups": len(set(
            folder for root, folders, _ in os.walk("/sys/fs/cgroup") for folder in folders if f"espalier-{mark}" in root)),
        "descriptors": count(f"/proc/{platform.server.pid}/fd/*"),
        "pod folders": count(f"{platform.directory}/pods/*"),
        "memory folders": count(f"/run/espalier-{mark}/*"),
    }
