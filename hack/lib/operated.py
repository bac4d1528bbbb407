"""A server and an operator as two processes, with a link between them that can be broken; and the same as one process.

Used by hack/operate. Standard library only.
"""
import base64
import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time

from espalier_platform import Platform, wait_until

NAMESPACE = "team-a"
# How long an operator that has gone silent is waited for: short, so that a round is about what happens and not about waiting.
LEASE_SECONDS = 2
# What is compared, by the path of its collection. Pods, addresses and times are nobody's intent.
KINDS = {
    "landscapes": "apis/espalier.dev/v1alpha1", "rollouts": "apis/espalier.dev/v1alpha1", "routes": "apis/espalier.dev/v1alpha1",
    "deployments": "apis/apps/v1", "replicasets": "apis/apps/v1", "controllerrevisions": "apis/apps/v1", "services": "api/v1",
    "configmaps": "api/v1", "httproutes": "apis/gateway.networking.k8s.io/v1"}


class Link:
    """A TCP proxy on loopback. `cut` closes what is open, `delay` holds back what the server says."""

    def __init__(self, port):
        self.target, self.delay = port, 0.0
        self.pairs, self.lock = [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, server))
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, sink, is_answer):
        try:
            while data := source.recv(65536):
                if is_answer and self.delay:
                    time.sleep(self.delay)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Closes every connection; answers how many there were."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        open_ones = 0
        for client, server in pairs:
            for end in (client, server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                    open_ones += 1
                except OSError:
                    pass
                end.close()
        return open_ones // 2

    def close(self):
        self.listener.close()
        self.cut()


class Reference(Platform):
    """One process that does all."""

    kept = None

    def read(self, path):
        """A read on a connection that is kept while it lasts."""
        for fresh in (False, True):
            try:
                if fresh or self.kept is None:
                    self.kept = self.connection()
                return self.request("GET", path, connection=self.kept)
            except (OSError, http.client.HTTPException):
                self.kept = None
                if fresh:
                    raise

    def start(self, **options):
        super().start(**options)
        self.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    @property
    def revision_key(self):
        path = f"{self.directory}/keys/revisions.secret"
        wait_until("the key for revision hashes", lambda: os.path.exists(path))
        return open(path, "rb").read()

    def apply(self, document):
        name = document["metadata"]["name"]
        path = f"/apis/espalier.dev/v1alpha1/namespaces/{NAMESPACE}/landscapes/{name}?fieldManager=campaign&force=true"
        status, answer = self.request("PATCH", path, document, "application/apply-patch+yaml")
        if status >= 300:
            raise RuntimeError(f"apply: {status} {answer}")

    def stop(self, timeout=60):
        super().stop(timeout)
        for process in self.processes():    # pods outlive their server, and here nobody comes back for them
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.remove()


class Operated(Reference):
    """Two processes and a link between them."""

    def __init__(self, binary):
        super().__init__(binary, arguments=["--controllers", "none"])
        self.operator, self.link, self.starts, self.server_starts = None, None, 0, 1

    def start(self, revision_key):
        super().start()
        self.request("POST", "/api/v1/namespaces/kube-system/secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "espalier-revisions"},
            "data": {"key": base64.b64encode(revision_key).decode()}})
        self.link = Link(self.port)
        text = open(f"{self.directory}/kubeconfig").read()
        open(f"{self.directory}.kubeconfig", "w").write(text.replace(f":{self.port}", f":{self.link.port}"))
        self.start_operator()

    def start_operator(self):
        self.starts += 1
        log = open(f"{self.directory}.operator.log", "ab")
        self.operator = subprocess.Popen(
            [self.binary, "operate", "--kubeconfig", f"{self.directory}.kubeconfig", "--lease-seconds", str(LEASE_SECONDS)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def leader(self):
        """Who holds the Lease, as it calls itself."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/espalier-operator"
        return self.read(path)[1]["spec"].get("holderIdentity")

    def suffer(self, fault, draw):
        """Breaks something; answers what it hit: 1, or for the link the number of connections."""
        if fault == "operator killed":
            self.operator.kill()
            self.operator.wait()
            self.start_operator()
            return 1
        if fault == "server killed":
            self.kill()
            time.sleep(draw.uniform(0, 1))
            Platform.start(self, listen=f"127.0.0.1:{self.port}")
            self.server_starts += 1
            return 1
        if fault == "connection cut":
            return sum(self.link.cut() for _ in range(3) if not time.sleep(draw.uniform(0, 0.3)))
        if fault == "events delayed":
            self.link.delay = draw.uniform(0.1, 0.8)
            time.sleep(draw.uniform(1, 3))
            self.link.delay = 0.0
            return 1
        if fault == "operator stopped and goes on":
            # It comes back with an old view, after its Lease has run out, beside a second one that leads by then.
            first = self.operator
            wait_until("an operator to lead", lambda: self.leader())
            first.send_signal(signal.SIGSTOP)
            before = self.leader()
            self.start_operator()
            wait_until("the second operator to lead", lambda: self.leader() not in (before, "", None))
            first.send_signal(signal.SIGCONT)
            time.sleep(draw.uniform(0, 1))
            first.send_signal(signal.SIGTERM)
            first.wait(30)
            return 1
        return 1

    def stop(self, timeout=60):
        if self.operator and self.operator.poll() is None:
            self.operator.send_signal(signal.SIGTERM)
            try:
                self.operator.wait(30)
            except subprocess.TimeoutExpired:
                print("the operator did not end within 30 s of SIGTERM")
                self.operator.kill()
        if self.link:
            self.link.close()
        super().stop(timeout)


def landscape(draw, number):
    """A change of the shop, as a team makes them: a version, the number of pods, a route more or less."""
    services = [{
        "name": name, "command": ["/bin/sleep", "100000"], "ports": [{"name": "http", "port": 3000}],
        "env": [{"name": "VERSION", "value": str(number if name == "web" else number // 3)}],
        "scale": {"min": draw.randint(1, 2), "max": 3}} for name in ("web", "api")]
    rules = [{"path": "/", "service": "web", "port": "http"}]
    if draw.random() < 0.5:
        rules.append({"path": "/api", "service": "api", "port": "http"})
    return {
        "apiVersion": "espalier.dev/v1alpha1", "kind": "Landscape", "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"services": services, "routes": [{"hosts": ["shop.localhost"], "rules": rules}]}}


def state(platform):
    """What the loops want and say, without what differs between any two runs; and whether it has settled."""
    found, settled = {}, False
    for kind, root in KINDS.items():
        status, answer = platform.read(f"/{root}/namespaces/{NAMESPACE}/{kind}")
        if status != 200:
            raise RuntimeError(f"{kind}: {status}")
        for item in answer["items"]:
            name = item["metadata"]["name"]
            if name == "kube-root-ca.crt":    # each server has an authority of its own
                continue
            conditions = {c["type"]: c["status"] for c in item.get("status", {}).get("conditions", [])}
            spec = {key: value for key, value in item.get("spec", item.get("data") or {}).items() if key not in ("clusterIP", "clusterIPs")}
            found[f"{kind}/{name}"] = re.sub(r"ESPALIER_\w+", "", f"{spec} {sorted(conditions.items())}")
            if kind == "landscapes":
                generation = item["metadata"]["generation"]
                settled = conditions.get("Ready") == "True" and item["status"].get("observedGeneration") == generation
                found[f"{kind}/{name}"] += f" {item['status'].get('activeRevision')}"
    found["settled"] = settled
    return found
