"""What a client can send to hurt a server, as data: requests that are answered, and connections that are held.

`hack/abuse` sends it. Standard library only; HTTP/2 is frames by hand.
"""
import gzip
import json
import os
import random
import struct

MAPS = "/api/v1/namespaces/default/configmaps"
LOOSE = "/apis/abuse.example.org/v1/namespaces/default/loose"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MERGE, PATCH, STRATEGIC, APPLY = (
    "application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json",
    "application/apply-patch+yaml")
MIB = 1 << 20

REFUSED = range(400, 500)
# What may be answered either way: accepting it harms nobody.
EITHER = [*range(200, 300), *range(400, 500)]


class Request:
    """One request; `expected` are the statuses that are right. `body` may be a function, called before the clock starts."""

    def __init__(self, name, method, path, body=b"", kind=JSON, headers=(), expected=REFUSED):
        self.name, self.method, self.path, self._body = name, method, path, body
        self.kind, self.headers, self.expected = kind, list(headers), expected

    def body(self):
        body = self._body() if callable(self._body) else self._body
        return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body


def config_map(data, name="bomb"):
    return f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{data}}}'


def loose(member, name="bomb"):
    return f'{{"apiVersion":"abuse.example.org/v1","kind":"Loose","metadata":{{"name":"{name}"}},{member}}}'


def definition(kind, schema, **version):
    """A CustomResourceDefinition of group abuse.example.org."""
    plural = kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.abuse.example.org"},
        "spec": {"group": "abuse.example.org", "scope": "Namespaced",
                 "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": plural},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}]}}


# What the attacks need to be there.
def ruled(bounds, length):
    """The schema of a list of words, `bounds` of it and `length` of each, with a rule that tries all of three words."""
    words = {"type": "array", "items": {"type": "string", "maxLength": length}, **bounds}
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": {"words": words}, "x-kubernetes-validations": [{
        "rule": "self.words.all(a, self.words.all(b, self.words.all(c, a + b + c != 'x')))"}]}}}


SETUP = [
    (DEFINITIONS, definition("Loose", {"type": "object", "x-kubernetes-preserve-unknown-fields": True})),
    # As dear as the estimate lets a rule be.
    (DEFINITIONS, definition("Ruled", ruled({"maxItems": 50}, 4))),
    (DEFINITIONS, definition("Matched", {"type": "object", "properties": {
        "word": {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}}})),
    (MAPS, json.loads(config_map('{"a":"b"}', "victim"))),
    (LOOSE, json.loads(loose('"data":{}', "victim"))),
    (DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "victim"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
]


def json_bombs():
    members = ",".join(f'"k{number}":"v"' for number in range(150_000))
    yield Request("arrays, 1 M deep", "POST", MAPS, "[" * MIB)
    yield Request("objects, 400 k deep", "POST", MAPS, '{"a":' * 400_000)
    yield Request("arrays, 500 k deep and closed", "POST", LOOSE, lambda: loose(f'"x":{"[" * 500_000}{"]" * 500_000}'))
    yield Request("a number beyond any", "POST", DEPLOYMENTS, '{"spec":{"replicas":1e400}}')
    yield Request("an exponent of 300 k digits", "POST", LOOSE, lambda: loose(f'"x":1e{"9" * 300_000}'))
    yield Request("a number of 1 M digits", "POST", LOOSE, lambda: loose(f'"x":{"9" * 1_000_000}'), expected=EITHER)
    yield Request("a fraction of 1 M digits", "POST", LOOSE, lambda: loose(f'"x":0.{"3" * 1_000_000}'), expected=EITHER)
    yield Request("one name 300 k times, strict", "POST", f"{MAPS}?fieldValidation=Strict",
                  lambda: config_map("{" + ",".join(['"a":"b"'] * 300_000) + "}"))
    yield Request("one name 300 k times", "POST", f"{MAPS}?dryRun=All",
                  lambda: config_map("{" + ",".join(['"a":"b"'] * 300_000) + "}"), expected=EITHER)
    yield Request("1 M members", "POST", MAPS, lambda: "{" + ",".join(f'"{n}":0' for n in range(1_000_000)) + "}")
    yield Request("150 k keys of data", "POST", f"{MAPS}?dryRun=All", config_map("{" + members + "}"))
    yield Request("150 k unknown fields, strict", "POST", f"{MAPS}?fieldValidation=Strict",
                  f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"x"}},{members}}}')
    yield Request("150 k unknown fields, warned of", "POST", f"{MAPS}?dryRun=All&fieldValidation=Warn",
                  f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"x"}},{members}}}', expected=EITHER)
    yield Request("150 k labels", "POST", MAPS,
                  f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"x","labels":{{{members}}}}}}}')
    yield Request("150 k bad labels", "POST", MAPS, lambda: (
        f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"x","labels":{{{members}}}}}}}').replace('"v"', '"!"'))
    yield Request("a string of 2.9 MiB", "POST", MAPS, lambda: config_map('{"a":"' + "x" * (29 * MIB // 10) + '"}'))
    yield Request("2.9 MiB of escapes", "POST", MAPS, lambda: config_map('{"a":"' + "\\u0041" * 480_000 + '"}'), expected=EITHER)
    yield Request("a name of 2 MiB", "POST", MAPS, lambda: config_map("{}", "x" * 2 * MIB))
    yield Request("a kind of 2 MiB", "POST", MAPS, lambda: '{"apiVersion":"v1","kind":"' + "K" * 2 * MIB + '"}')
    yield Request("no kind, 2 MiB", "POST", LOOSE, lambda: '{"a":"' + "K" * 2 * MIB + '"}')
    yield Request("half of a pair", "POST", f"{MAPS}?dryRun=All", config_map('{"a":"\\ud800"}'), expected=EITHER)
    yield Request("half of a pair, raw", "POST", f"{MAPS}?dryRun=All", config_map('{"a":"\ud800"}'), expected=EITHER)
    yield Request("NUL in a name", "POST", MAPS, config_map("{}", "a\\u0000b"))
    yield Request("NUL, raw", "POST", MAPS, config_map('{"a":"\0"}'))
    yield Request("bytes that are no UTF-8", "POST", f"{MAPS}?dryRun=All",
                  config_map('{"a":"?"}').encode().replace(b"?", b"\xff\xfe"), expected=EITHER)
    yield Request("managedFields, 100 deep and wide", "POST", f"{MAPS}?dryRun=All", lambda: json.dumps({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "managedFields": [{
            "manager": str(n), "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": json.loads('{"f:a":' * 90 + "{}" + "}" * 90)} for n in range(2000)]}}), expected=EITHER)
    yield Request("2 MiB of annotations", "POST", MAPS, lambda: json.dumps({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "annotations": {"a": "x" * 2 * MIB}}}))
    yield Request("an object of 2 MiB", "POST", LOOSE, lambda: loose('"x":"' + "x" * 2 * MIB + '"'))
    yield Request("a ConfigMap of 2 MiB", "POST", MAPS, lambda: config_map('{"a":"' + "x" * 2 * MIB + '"}'))
    yield Request("a rule that may go round 10^18 times", "POST", DEFINITIONS, json.dumps(definition("Unruly", ruled({}, 4))))
    yield Request("a rule that goes round 125,000 times", "POST", "/apis/abuse.example.org/v1/namespaces/default/ruled",
                  json.dumps({"apiVersion": "abuse.example.org/v1", "kind": "Ruled", "metadata": {"name": "x"},
                              "spec": {"words": [f"w{n}" for n in range(50)]}}), expected=EITHER)
    yield Request("a pattern that others go back in", "POST", "/apis/abuse.example.org/v1/namespaces/default/matched",
                  lambda: json.dumps({"apiVersion": "abuse.example.org/v1", "kind": "Matched", "metadata": {"name": "x"},
                                      "word": "a" * 500_000}))


def yaml_bombs():
    laughs = "a0: &a0 lol\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    yield Request("a billion laughs", "POST", MAPS, head + laughs, YAML)
    yield Request("a billion laughs, applied", "PATCH", f"{MAPS}/x?fieldManager=m", head + laughs, APPLY)
    yield Request("aliases of 1 MiB", "POST", MAPS, lambda: head + f"a: &a {'x' * MIB}\nb: [{', '.join(['*a'] * 10_000)}]\n", YAML)
    yield Request("100 k anchors", "POST", f"{MAPS}?fieldValidation=Strict",
                  lambda: head + "a: [" + ", ".join(f"&a{n} 1" for n in range(100_000)) + "]", YAML)
    yield Request("an alias of itself", "POST", MAPS, head + "a: &a [*a]", YAML)
    yield Request("merges of merges", "POST", MAPS, head + "b0: &b0 {x: 1}\n" + "".join(
        f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}], y{n}: *b{n - 1}}}\n" for n in range(1, 40)), YAML)
    yield Request("flow, 1 M deep", "POST", MAPS, "[" * MIB, YAML)
    yield Request("blocks, 1,000 deep", "POST", MAPS, lambda: "\n".join(" " * n + "a:" for n in range(1000)), YAML)
    yield Request("a sequence in a sequence, 500 k deep", "POST", MAPS, lambda: "- " * 500_000, YAML)
    yield Request("a scalar of 2.9 MiB", "POST", MAPS, lambda: head + "data:\n  a: |\n    " + "x" * (29 * MIB // 10), YAML)
    yield Request("500 k documents", "POST", MAPS, lambda: "--- a\n" * 500_000, YAML)
    yield Request("a complex key, 100 k times", "POST", MAPS, lambda: "? [a]\n: b\n" * 100_000, YAML)
    # Tags say nothing here, and unknown members are dropped with a warning, as upstream does it.
    yield Request("tags", "POST", f"{MAPS}?dryRun=All", lambda: head + "a: !!binary " + "A" * MIB + "\nb: !!python/object:os.system x\n",
                  YAML, expected=EITHER)
    yield Request("a key of 2 MiB", "POST", f"{MAPS}?dryRun=All", lambda: head + "? " + "x" * 2 * MIB + "\n: 1\n", YAML, expected=EITHER)


def protobuf_garbage():
    noise = random.Random(7)
    magic = b"k8s\0"

    def field(number, body):
        length, encoded = len(body), b""
        while length > 127:
            encoded, length = encoded + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + encoded + bytes([length]) + body

    def unknown(raw):
        return magic + field(1, field(1, b"v1") + field(2, b"ConfigMap")) + field(2, raw)

    deep = b""
    for _ in range(1000):
        deep = field(1, deep)
    yield Request("noise", "POST", MAPS, lambda: magic + noise.randbytes(2 * MIB), PROTOBUF)
    yield Request("noise in a ConfigMap", "POST", MAPS, lambda: unknown(noise.randbytes(2 * MIB)), PROTOBUF)
    yield Request("a length beyond the end", "POST", MAPS, magic + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", PROTOBUF)
    yield Request("a number without an end", "POST", MAPS, magic + b"\xff" * 10_000, PROTOBUF)
    yield Request("1,000 deep", "POST", MAPS, unknown(deep), PROTOBUF)
    yield Request("groups, 1 M deep", "POST", MAPS, lambda: unknown(b"\x0b" * MIB), PROTOBUF)
    yield Request("1 M empty entries of data", "POST", MAPS, lambda: unknown(field(1, field(1, b"x")) + b"\x12\x00" * MIB), PROTOBUF,
                  expected=EITHER)
    yield Request("nothing", "POST", MAPS, b"", PROTOBUF)


def patches():
    victim = f"{MAPS}/victim"
    doubling = [{"op": "add", "path": "/data", "value": {"a": "b" * 1000}}] + [
        {"op": "copy", "from": "/data", "path": f"/data/{n}"} for n in range(40)]
    yield Request("copies of copies", "PATCH", f"{LOOSE}/victim", json.dumps(doubling), PATCH)
    yield Request("copies of copies, standard kind", "PATCH", victim, json.dumps(doubling), PATCH)
    yield Request("10,001 operations", "PATCH", victim, json.dumps([{"op": "test", "path": "/data/a", "value": "b"}] * 10_001), PATCH)
    yield Request("10,000 operations at the front of a list", "PATCH", f"{LOOSE}/victim", json.dumps(
        [{"op": "add", "path": "/x", "value": []}] + [{"op": "add", "path": "/x/0", "value": n} for n in range(9_999)]), PATCH,
        expected=EITHER)
    yield Request("a path of 1 MiB", "PATCH", victim, lambda: json.dumps([{"op": "add", "path": "/a" * (MIB // 2), "value": 1}]), PATCH)
    yield Request("a patch, 400 k deep", "PATCH", victim, '{"a":' * 400_000, MERGE)
    yield Request("a merge of 150 k members", "PATCH", victim,
                  lambda: json.dumps({"data": {f"k{n}": "v" for n in range(150_000)}}), MERGE)
    yield Request("a strategic merge of 20 k containers", "PATCH", f"{DEPLOYMENTS}/victim", lambda: json.dumps(
        {"spec": {"template": {"spec": {"containers": [{"name": f"c{n % 10_000}", "image": "i"} for n in range(20_000)]}}}}), STRATEGIC)
    yield Request("directives without a sense", "PATCH", victim, json.dumps(
        {"$patch": "explode", "$setElementOrder/data": [[]], "data": {"$retainKeys": {}, "$deleteFromPrimitiveList/a": 7}}), STRATEGIC,
        expected=EITHER)
    yield Request("150 k keys applied", "PATCH", f"{MAPS}/applied?fieldManager=m&force=true", lambda: json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {f"k{n}": "" for n in range(150_000)}}), APPLY,
        expected=EITHER)


def targets():
    yield Request("a path of 100 KiB", "GET", "/" + "a" * 100 * 1024)
    yield Request("a path of 10 k segments", "GET", "/a" * 10_000)
    yield Request("a label selector of 60 KiB", "GET", f"{MAPS}?labelSelector=" + ",".join(f"k{n}=v" for n in range(9_000)), expected=EITHER)
    yield Request("a label selector of 1 MiB", "GET", f"{MAPS}?labelSelector=" + "a" * MIB)
    yield Request("a set of 60 KiB", "GET", f"{MAPS}?labelSelector=a+in+(" + ",".join(f"v{n}" for n in range(9_000)) + ")", expected=EITHER)
    yield Request("brackets", "GET", f"{MAPS}?labelSelector=" + "(" * 50_000)
    yield Request("a field selector of 1 MiB", "GET", f"{MAPS}?fieldSelector=metadata.name%3D" + "a" * MIB)
    yield Request("10 k parameters", "GET", f"{MAPS}?" + "&".join(f"a{n}=b" for n in range(10_000)))
    yield Request("a continuation of 60 KiB", "GET", f"{MAPS}?limit=1&continue=" + "A" * 60_000)
    yield Request("a limit beyond any", "GET", f"{MAPS}?limit=99999999999999999999999")
    yield Request("NUL in the path", "GET", "/api/v1/namespaces/%00")
    yield Request("overlong UTF-8 in the path", "GET", "/api/v1/namespaces/%c0%ae%c0%ae")
    yield Request("dots in the path", "GET", "/api/v1/../../../etc/passwd")
    yield Request("half an escape", "GET", "/api/v1/namespaces/%4")
    yield Request("a resource version of 10 k digits", "GET", f"{MAPS}?resourceVersion=" + "9" * 10_000)


def headers():
    yield Request("10,000 headers", "GET", "/api", headers=[(f"x-{n}", "y") for n in range(10_000)])
    yield Request("a header of 1 MiB", "GET", "/api", headers=[("x", "y" * MIB)])
    yield Request("200 headers of 16 KiB", "GET", "/api", headers=[(f"x-{n}", "y" * 16_384) for n in range(200)])
    yield Request("a name of 100 KiB", "GET", "/api", headers=[("x" * 100 * 1024, "y")])
    yield Request("a token of 70 KiB", "GET", "/api", headers=[("Authorization", "Bearer " + "a" * 70_000)])
    yield Request("Accept of 70 KiB", "GET", MAPS, headers=[("Accept", ",".join(["application/json;as=Table"] * 2_600))], expected=EITHER)
    yield Request("240 groups to be", "GET", "/api", headers=[("Impersonate-User", "a")] + [("Impersonate-Group", f"g{n}") for n in range(240)],
                  expected=EITHER)
    yield Request("NUL in a header", "GET", "/api", headers=[("x", "a\0b")])
    yield Request("a body in gzip", "POST", MAPS, lambda: gzip.compress(b" " * 100 * MIB), headers=[("Content-Encoding", "gzip")])
    yield Request("a small body in gzip", "POST", MAPS, gzip.compress(config_map("{}", "zipped").encode()),
                  headers=[("Content-Encoding", "gzip")])
    yield Request("a content type of 60 KiB", "POST", MAPS, "{}", kind="a" * 60_000)
    yield Request("a method nobody knows", "BREW", MAPS)


def requests():
    for source in (json_bombs, yaml_bombs, protobuf_garbage, patches, targets, headers):
        for request in source():
            yield source.__name__.replace("_", " "), request


def exchanges(token):
    """(name, bytes to send as they are, statuses that are right; None: closed without an answer) for what no library sends."""
    who = f"Authorization: Bearer {token}\r\nHost: a\r\n"
    post = f"POST {MAPS}?dryRun=All HTTP/1.1\r\n{who}Content-Type: application/json\r\n"
    body = config_map("{}", "raw")
    chunk = b"%x\r\n%s\r\n" % (MIB, b" " * MIB)
    yield "a length of 1 GB", f"{post}Content-Length: 1000000000\r\n\r\n".encode(), [413]
    yield "a length of 1 GB by nobody", f"POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n".encode(), [401]
    yield "a length beyond any", f"{post}Content-Length: 99999999999999999999999999\r\n\r\n".encode(), [400, 413]
    yield "a length below zero", f"{post}Content-Length: -1\r\n\r\n{body}".encode(), [400]
    yield "two lengths", f"{post}Content-Length: 5\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode(), [400]
    yield "a length and pieces", f"{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(), [400]
    yield "pieces without an end", f"{post}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 8, [413]
    yield "a piece of 2^64 bytes", f"{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".encode(), [400]
    yield "10 k trailers", (f"{post}Transfer-Encoding: chunked\r\n\r\n0\r\n" + "a: b\r\n" * 10_000 + "\r\n").encode(), [400, 413, 431]
    yield "a space before the colon", f"GET /api HTTP/1.1\r\nHost : a\r\n\r\n".encode(), [400]
    yield "a folded header", f"GET /api HTTP/1.1\r\nHost: a\r\nx: a\r\n b\r\n\r\n".encode(), [400, 401]
    yield "HTTP/9.9", f"GET /api HTTP/9.9\r\n{who}\r\n".encode(), [400, 505]
    yield "no HTTP at all", b"\x00\x01\x02\x03" * 1000, [400, None]
    yield "a line without an end", b"GET /" + b"a" * 8 * MIB, [400, 414, 431, None]
    yield "an upgrade to nothing", f"GET /api HTTP/1.1\r\n{who}Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n".encode(), [200, 400]
    yield "CONNECT", f"CONNECT 127.0.0.1:22 HTTP/1.1\r\n{who}\r\n".encode(), [400, 404, 405]
    yield "an absolute address", f"GET http://127.0.0.1:22/ HTTP/1.1\r\n{who}\r\n".encode(), [400, 404]


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def http2_floods():
    """(name, bytes): attacks on HTTP/2, by a client that begins with it whether it was agreed or not."""
    start = PREFACE + frame(4, 0, 0)
    get = b"\x82\x87\x84\x41\x01a"    # :method GET, :scheme https, :path /, :authority a
    yield "rapid reset", start + b"".join(
        frame(1, 5, stream, get) + frame(3, 0, stream, struct.pack(">I", 8)) for stream in range(1, 100_000, 2))
    yield "CONTINUATION without an end", start + frame(1, 1, 1, get) + frame(9, 0, 1, b"\x00\x01a\x01b" * 3000) * 300
    yield "SETTINGS flood", start + frame(4, 0, 0, struct.pack(">HI", 4, 1) * 10) * 20_000
    yield "PING flood", start + frame(6, 0, 0, os.urandom(8)) * 100_000
