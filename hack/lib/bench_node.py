"""Pods: from `apply` to Ready as processes and as containers, beside `podman run` of the same image; what an idle pod costs."""
import subprocess
import time

import pods
from espalier_platform import Platform, cpu_seconds
from image_engine import IMAGE, ImageEngine


def median(values):
    return sorted(values)[len(values) // 2]


def resident(pid):
    """Proportional set size in KB."""
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def podman_run(engine, count):
    """Seconds for so many `podman run -d`, one after the other, each until it says the container runs."""
    began = time.monotonic()
    for _ in range(count):
        engine.podman("run", "-d", "--network=none", IMAGE)
    taken = time.monotonic() - began
    engine.podman("rm", "-af", "-t", "0")
    return taken


def bare():
    """Seconds to start a bare process and see it."""
    began = time.monotonic()
    process = subprocess.Popen(["sleep", "1000"])
    taken = time.monotonic() - began
    process.kill()
    process.wait()
    return taken


def run(binary, options):
    with ImageEngine() as engine:
        platform = Platform(binary)
        try:
            platform.start()
            link = platform.connection(timeout=120)
            pods.make(platform, link, 1, "process")
            pods.remove(platform, link)
            print(f"bare process: {median([bare() for _ in range(20)]) * 1000:.1f} ms")
            for count in (1, 10, 50):
                rounds = options.rounds * 3 if count == 1 else options.rounds
                for runtime in ("process", "image"):
                    ready, gone = [], []
                    for _ in range(rounds):
                        ready.append(pods.make(platform, link, count, runtime))
                        gone.append(pods.remove(platform, link))
                    print(f"{count:3} pods as {runtime:8} Ready after {median(ready) * 1000:7.0f} ms (best {min(ready) * 1000:.0f}), "
                          f"gone after {median(gone) * 1000:.0f} ms")
                if count < 50:
                    peer = median([podman_run(engine, count) for _ in range(options.rounds)])
                    print(f"{count:3} podman run -d           after {peer * 1000:7.0f} ms")
            pods.make(platform, link, 100, "process")
            time.sleep(5)
            before, began = cpu_seconds(platform.server.pid), time.monotonic()
            time.sleep(max(20, options.seconds))
            used = (cpu_seconds(platform.server.pid) - before) / (time.monotonic() - began)
            shims = [pid for pid, command in platform.processes().items() if command.startswith("espalier-shim")]
            size = sum(map(resident, shims)) / max(1, len(shims))
            print(f"100 idle pods: server {used * 100:.2f} % of a core (goal 1), {resident(platform.server.pid) / 1024:.0f} MB; "
                  f"a shim {size:.0f} KB")
        finally:
            platform.stop()
            platform.remove()
