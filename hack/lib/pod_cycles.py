"""Makes and deletes pods again and again, and finds what they leave: processes, mounts, namespaces, groups, links, descriptors, folders."""
import argparse
import sys

import pods
from espalier_platform import Platform, find_binary
from image_engine import ImageEngine


def main():
    parser = argparse.ArgumentParser(prog="hack/cycles", description=__doc__)
    parser.add_argument("--cycles", type=int, default=100, help="pods made and deleted, half of them of an image (the full campaign: 1000)")
    parser.add_argument("--at-once", type=int, default=10, help="pods there at a time")
    parser.add_argument("--configuration", default="release", help="which build to use: release or debug")
    options = parser.parse_args()
    with ImageEngine():
        platform = Platform(find_binary(options.configuration))
        try:
            platform.start()
            link = platform.connection(timeout=120)
            # Once of each, so that what stays for good is there.
            for runtime in ("process", "image"):
                pods.make(platform, link, options.at_once, runtime)
                pods.remove(platform, link)
            before = pods.footprint(platform)
            for number in range(0, options.cycles, options.at_once):
                pods.make(platform, link, options.at_once, ("process", "image")[number // options.at_once % 2], f"c{number}-")
                pods.remove(platform, link)
            after = pods.footprint(platform)
        finally:
            platform.stop()
            left = platform.processes()
            platform.remove()
    leaked = {kind: (before[kind], after[kind]) for kind in before if after[kind] > before[kind] + (4 if kind == "descriptors" else 0)}
    print(f"{options.cycles} pods made and deleted: " + ", ".join(f"{kind} {before[kind]} → {after[kind]}" for kind in before))
    if leaked or left:
        print(f"leaked: {leaked} {left}", file=sys.stderr)
        sys.exit(1)
    print("nothing leaked")


if __name__ == "__main__":
    main()
