#!/usr/bin/env python3
"""Writes the table of protobuf messages that APIServer decodes request bodies with.

Reads `generated.proto` (numbers and types) and `types.go` (JSON names, pointers, omitempty) of clones of
kubernetes/api, kubernetes/apimachinery and kubernetes/apiextensions-apiserver, and prints the messages that a body of a
standard kind can hold. The form is described at the head of the table itself.

  hack/lib/protobuf_table.py --clones DIR --ref release-1.36 > Sources/CBundle/protobuf/messages.txt
"""
import argparse
import re
import subprocess
import sys
import textwrap

HEAD = """\
# The protobuf messages of the standard kinds, written by hack/lib/protobuf_table.py from Kubernetes {ref}.
# [apiVersion] begins a group of messages; a line that does not begin with a space begins a message, the fields follow:
# name=number:type. Types: s string, y bytes, i integer, b bool, d double, t time, u time with microseconds, j bytes
# that are JSON, or the name of a message, [apiVersion.]Name. Behind a type: * list, % map by string, ? kept when empty
# (a pointer in Go), ! written when zero (no omitempty), ^ its members stand in the message that holds it.
# A message whose name ends in ~ stands in JSON as the value of its last field that is there.
"""

SCALARS = {"string": "s", "bytes": "y", "int32": "i", "int64": "i", "uint32": "i", "uint64": "i", "bool": "b", "double": "d"}

# Package in .proto, clone, folder, apiVersion, whether its kinds are bodies of their own.
PACKAGES = [
    ("k8s.io.apimachinery.pkg.apis.meta.v1", "apimachinery", "pkg/apis/meta/v1", "meta", False),
    ("k8s.io.apimachinery.pkg.api.resource", "apimachinery", "pkg/api/resource", "meta", False),
    ("k8s.io.apimachinery.pkg.runtime", "apimachinery", "pkg/runtime", "meta", False),
    ("k8s.io.apimachinery.pkg.util.intstr", "apimachinery", "pkg/util/intstr", "meta", False),
] + [
    (f"k8s.io.api.{folder.replace('/', '.')}", "api", folder, version, True)
    for folder, version in [
        ("core/v1", "v1"), ("admissionregistration/v1", "admissionregistration.k8s.io/v1"), ("apps/v1", "apps/v1"),
        ("authentication/v1", "authentication.k8s.io/v1"), ("authorization/v1", "authorization.k8s.io/v1"),
        ("autoscaling/v1", "autoscaling/v1"), ("autoscaling/v2", "autoscaling/v2"), ("batch/v1", "batch/v1"),
        ("certificates/v1", "certificates.k8s.io/v1"), ("coordination/v1", "coordination.k8s.io/v1"),
        ("discovery/v1", "discovery.k8s.io/v1"), ("events/v1", "events.k8s.io/v1"),
        ("networking/v1", "networking.k8s.io/v1"), ("node/v1", "node.k8s.io/v1"), ("policy/v1", "policy/v1"),
        ("rbac/v1", "rbac.authorization.k8s.io/v1"), ("scheduling/v1", "scheduling.k8s.io/v1"),
        ("storage/v1", "storage.k8s.io/v1"),
    ]
] + [
    ("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1", "apiextensions-apiserver",
     "pkg/apis/apiextensions/v1", "apiextensions.k8s.io/v1", True),
]

# Messages that are a scalar of the table.
SCALAR_MESSAGES = {"meta.Time": "t", "meta.MicroTime": "u"}

# Messages that JSON knows only by the value they hold, as written here: upstream writes them with code.
WRAPPERS = {
    "meta.Quantity": "string=1:s!",
    "meta.IntOrString": "intVal=2:i! strVal=3:s",
    "meta.RawExtension": "raw=1:j",
    "meta.FieldsV1": "raw=1:j",
    "apiextensions.k8s.io/v1.JSON": "raw=1:j",
    "apiextensions.k8s.io/v1.JSONSchemaPropsOrArray": "schema=1:JSONSchemaProps? jSONSchemas=2:JSONSchemaProps*",
    "apiextensions.k8s.io/v1.JSONSchemaPropsOrBool": "allows=1:b! schema=2:JSONSchemaProps?",
    "apiextensions.k8s.io/v1.JSONSchemaPropsOrStringArray": "schema=1:JSONSchemaProps? property=2:s*",
    "authentication.k8s.io/v1.ExtraValue": "items=1:s*",
    "authorization.k8s.io/v1.ExtraValue": "items=1:s*",
    "certificates.k8s.io/v1.ExtraValue": "items=1:s*",
}


class Package:
    """The messages of one package, by name: a list of (number, JSON name, type, suffix)."""

    def __init__(self, read, name, folder, version, names):
        self.version = version
        self.names = names
        proto = read(f"{folder}/generated.proto")
        self.tags = go_tags(read(f"{folder}/types.go", f"{folder}/types_jsonschema.go", f"{folder}/quantity.go"))
        self.messages = {}
        for message, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", proto, re.M | re.S):
            self.messages[message] = [field for field in map(lambda line: self.field(message, name, line),
                                                             body.split("\n")) if field]

    def field(self, message, package, line):
        found = re.match(r"\s+(optional|repeated|map<string, )\s*([\w.]+)>? (\w+) = (\d+);", line)
        if not found:
            return None
        label, kind, proto_name, number = found.groups()
        pointer, tag = self.tags.get((message, int(number)), (False, proto_name + ",omitempty"))
        name, *options = tag.split(",")
        suffix = {"optional": "", "repeated": "*"}.get(label, "%")
        is_inline = "inline" in options or not name
        if label == "optional":
            suffix += "^" if is_inline else "?" if pointer else "" if "omitempty" in options else "!"
        return int(number), name or proto_name, self.resolved(kind, package), suffix

    def resolved(self, kind, package):
        if kind in SCALARS:
            return SCALARS[kind]
        owner, _, name = kind[1:].rpartition(".") if kind.startswith(".") else (package, ".", kind)
        full = f"{self.names[owner]}.{name}"
        return SCALAR_MESSAGES.get(full, full)


def go_tags(source):
    """(struct, field number) -> (is a pointer, the JSON tag)."""
    tags = {}
    for struct, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", source, re.M | re.S):
        for line in body.split("\n"):
            found = re.match(r'\s+(?:\w+\s+)?(\**)\S.*`.*json:"([^"]*)".*protobuf:"\w+,(\d+)', line)
            pointer = re.match(r"\s+\w+\s+\*", line) or re.match(r"\s+\*", line)
            if found:
                tags[(struct, int(found.group(3)))] = (bool(pointer), found.group(2))
    return tags


def reachable(packages):
    """The messages that a body can hold, by full name."""
    known = {f"{package.version}.{name}": fields for package in packages for name, fields in package.messages.items()}
    waiting = ["meta.DeleteOptions"]
    for package in packages:
        for name, fields in package.messages.items():
            if not package.is_root or name.endswith("List"):
                continue
            if (1, "metadata", "meta.ObjectMeta") in [field[:3] for field in fields]:
                waiting.append(f"{package.version}.{name}")
    result = {}
    while waiting:
        name = waiting.pop()
        if name in result:
            continue
        if name in WRAPPERS:
            result[name] = WRAPPERS[name]
            continue
        result[name] = " ".join(text(field, name) for field in sorted(known[name]))
        waiting += [kind for _, _, kind, _ in known[name] if len(kind) > 1]
    return result


def text(field, message):
    number, name, kind, suffix = field
    return f"{name}={number}:{kind.removeprefix(message.rpartition('.')[0] + '.')}{suffix}"


def write(messages, ref):
    print(HEAD.format(ref=ref), end="")
    section = None
    for full in sorted(messages):
        version, _, name = full.rpartition(".")
        if version != section:
            section = version
            print(f"\n[{version}]")
        line = f"{name}{'~' if full in WRAPPERS else ''} {messages[full]}".rstrip()
        print("\n".join(textwrap.wrap(line, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", required=True, help="holds a clone of each repository, under its name")
    parser.add_argument("--ref", required=True, help="branch or tag, the same in each")
    options = parser.parse_args()

    def reader(clone):
        def read(*paths):
            texts = []
            for path in paths:
                done = subprocess.run(["git", "-C", f"{options.clones}/{clone}", "show", f"{options.ref}:{path}"],
                                      text=True, capture_output=True)
                texts.append(done.stdout if done.returncode == 0 else "")
            if not texts[0] and paths[0].endswith(".proto"):
                sys.exit(f"{paths[0]} is not in {clone} at {options.ref}")
            return "\n".join(texts)
        return read

    names = {name: version for name, _, _, version, _ in PACKAGES}
    packages = []
    for name, clone, folder, version, is_root in PACKAGES:
        package = Package(reader(clone), name, folder, version, names)
        package.is_root = is_root
        packages.append(package)
    write(reachable(packages), options.ref)


if __name__ == "__main__":
    main()
