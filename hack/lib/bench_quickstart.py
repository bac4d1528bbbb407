"""The quickstart: how soon its landscape answers, and how large the binary is."""
import http.client
import os
import subprocess
import tempfile
import time

from espalier_platform import ROOT, Platform


def serving(platform):
    """Whether the shop answers through the gateway."""
    link = http.client.HTTPConnection(*platform.gateway, timeout=5)
    try:
        link.request("GET", "/version", headers={"Host": "shop.localhost"})
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def apply_to_serving(binary):
    """Seconds from the start of `espalier apply` to its end, and to the first answer."""
    platform = Platform(binary)
    try:
        platform.start()
        time.sleep(0.5)
        began = time.monotonic()
        platform.espalier("apply", "-f", f"{ROOT}/manifests/quickstart")
        applied = time.monotonic() - began
        while not serving(platform):
            if time.monotonic() - began > 60:
                raise SystemExit("the quickstart did not answer within 60 s:\n" + platform.espalier("status", check=False))
            time.sleep(0.002)
        return applied, time.monotonic() - began
    finally:
        platform.stop()
        platform.remove()


def run(binary, options):
    times = [apply_to_serving(binary) for _ in range(options.rounds)]
    applied = sorted(first for first, _ in times)[len(times) // 2]
    answered = sorted(second for _, second in times)[len(times) // 2]
    print(f"quickstart: apply done after {applied:.3f} s, first answer after {answered:.3f} s (goal 1; median of {len(times)}; "
          f"{' '.join(f'{second:.3f}' for _, second in times)})")
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, binary], check=True)
        print(f"binary: {os.path.getsize(binary) / 1e6:.1f} MB, {os.path.getsize(stripped.name) / 1e6:.1f} MB stripped")
