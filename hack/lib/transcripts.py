"""Runs the transcripts of Tests/Golden with any kubectl, and says where the answers differ from what was recorded.

The form of a transcript is described in Tests/Golden/README.md. Lines are compared as sets where their order is not fixed;
times, ages, UIDs, revisions, ports and temporary files count as equal. Raw HTTP (cases from 30 on, steps that use curl) has no
kubectl in it and is left to the tests.
"""
import difflib
import json
import os
import re
import subprocess
import tempfile

from espalier_platform import ROOT

GOLDEN = f"{ROOT}/Tests/Golden"

NORMALISATIONS = [
    (r"\x1b\[[0-9;]*m", ""),
    (r"[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (\S+?):\d+\]", r"<KLOG> \1]"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<UID>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<TIME>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}", "<TIME>"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<TIME>"),
    (r'(resourceVersion(?:\\"|")?: ?\\?")\d{2,}', r"\1<RV>"),
    (r"(Resource Version:\s+)\d+", r"\1<RV>"),
    (r"(?<![\w.])(\d+[smhd])+(?= ago|\)|\s|$)", "<AGE>"),
    (r"<AGE>", "0s"),
    (r"(127\.0\.0\.1:)\d+", r"\1<PORT>"),
    (r"/tmp/\S*?(LIVE|MERGED)-\d+", r"<TMP>/\1-<N>"),
    (r"/tmp/\S*?kubectl[.\d]*-edit-\d+", "<TMP>/kubectl-edit-<N>"),
    (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "<JWT>"),
    (r'("storageVersionHash": ?)"[^"]*"', r'\1"<HASH>"'),
    (r"admin-uid", "admin"),
    (r"gen-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "gen-<SUFFIX>"),
    (r"[ \t]+", " "),
]


def normal(text):
    for pattern, replacement in NORMALISATIONS:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text.rstrip("\n")


def steps(text):
    """(command, command to run meanwhile, its delay, output, exit line) of every step."""
    lines = text.split("\n")
    position, meanwhile = 0, None
    while position < len(lines):
        line = lines[position]
        position += 1
        found = re.match(r"# while the next step runs, after ([\d.]+)s: (.*)", line)
        if found:
            meanwhile = (found.group(2), float(found.group(1)))
        if not line.startswith("$ "):
            continue
        command = [line[2:]]
        here = re.search(r"<<-?'?(\w+)'?", line)
        while here and command[-1] != here.group(1):
            command.append(lines[position])
            position += 1
        output = []
        while not lines[position].startswith("= exit"):
            output.append(lines[position])
            position += 1
        yield "\n".join(command), meanwhile, "\n".join(output), lines[position]
        meanwhile = None


def run(command, meanwhile, environment, folder):
    other = None
    if meanwhile:
        other = subprocess.Popen(
            ["bash", "-c", f"sleep {meanwhile[1]}; {meanwhile[0]}"], env=environment, cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done = subprocess.run(["bash", "-c", command], env=environment, cwd=folder, text=True, capture_output=True)
    if other:
        other.wait()
    output = done.stdout
    if output and not output.endswith("\n"):
        output += "\n\\ no newline at end\n"
    return output + "".join(f"! {line}\n" for line in done.stderr.splitlines()), f"= exit {done.returncode}"


def recordings(name, minor):
    """What may be printed at each command of a case: as 1.32 did, or as the nearest versions before and after it did."""
    files = [f"{GOLDEN}/cases/{name}"]
    stem = name.removesuffix(".txt")
    if minor < 32:
        files.append(f"{GOLDEN}/variants/{stem}.k127.txt")
    if minor > 27:
        files.append(f"{GOLDEN}/variants/{stem}.k133.txt")
    accepted = {}
    for file in filter(os.path.exists, files):
        for command, _, output, status in steps(open(file).read()):
            accepted.setdefault(command, []).append((normal(output), status))
    return accepted


def known_differences():
    """(case, beginning of the command) of the steps that are known to answer otherwise."""
    lines = [line for line in open(f"{GOLDEN}/known-differences.txt") if line.strip() and not line.startswith("#")]
    entries = [line.split("|") for line in lines]
    return [(parts[0].strip(), "|".join(parts[1:-1]).strip()) for parts in entries]


def is_known(known, case, command):
    line = command.replace("\n", " ")
    return any(name == case and line.startswith(beginning) for name, beginning in known)


def is_same(accepted, output, status):
    found = normal(output)
    return any(status == wanted_status and says_the_same(found, wanted) for wanted, wanted_status in accepted)


def says_the_same(left, right):
    """Line by line, as a set of lines, or as the same JSON with members in another order."""
    if left == right or sorted(left.split("\n")) == sorted(right.split("\n")):
        return True
    try:
        return json.loads(left) == json.loads(right)
    except ValueError:
        return False


def run_all(platform, kubectl, minor, cases=(), verbose=False):
    """Runs every case against a fresh platform; answers (steps that are the same, known to differ, that differ)."""
    home = tempfile.mkdtemp()
    os.symlink(kubectl, f"{home}/kubectl")  # it names itself after its file
    environment = dict(
        os.environ, KUBECONFIG=f"{platform.directory}/kubeconfig", HOME=home, PATH=f"{home}:{os.environ['PATH']}")

    def quietly(arguments, check=False):
        subprocess.run([f"{home}/kubectl", *arguments.split()], env=environment, check=check, capture_output=True)

    quietly("create namespace demo", check=True)
    quietly(f"apply -f {GOLDEN}/crd.yaml", check=True)
    quietly("config set-context --current --namespace demo", check=True)
    known, counts = known_differences(), {"same": 0, "known": 0, "different": 0}
    for name in sorted(os.listdir(f"{GOLDEN}/cases")):
        if name[:2] >= "30" or (cases and not name.startswith(tuple(cases))):
            continue
        quietly("delete widgets,configmaps,secrets,events,roles,rolebindings --all --wait=false")
        quietly("delete sa robot --ignore-not-found")
        accepted, folder, stem = recordings(name, minor), tempfile.mkdtemp(), name.removesuffix(".txt")
        for command, meanwhile, _, _ in steps(open(f"{GOLDEN}/cases/{name}").read()):
            if "curl" in command:
                continue
            outcome = run_step(command, meanwhile, accepted[command], environment, folder)
            verdict = "same" if outcome is None else "known" if is_known(known, stem, command) else "different"
            counts[verdict] += 1
            if verdict == "different" and verbose:
                report(name, command, accepted[command], *outcome)
    return counts["same"], counts["known"], counts["different"]


def run_step(command, meanwhile, accepted, environment, folder):
    """What a step printed where that was never recorded; asks again where a controller may need a moment."""
    for _ in range(10 if command.startswith("kubectl get") else 1):
        output, status = run(command, meanwhile, environment, folder)
        if is_same(accepted, output, status):
            return None
    return output, status


def report(name, command, accepted, output, status):
    wanted, wanted_status = accepted[-1]
    print(f"DIFFERS {name}: {command} ({wanted_status}, found {status})")
    lines = difflib.unified_diff(wanted.split("\n"), normal(output).split("\n"), lineterm="", n=1)
    print("\n".join(list(lines)[2:24]), flush=True)
