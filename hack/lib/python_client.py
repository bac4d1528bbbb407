"""The client "kubernetes" from PyPI against a server of its own. Run by hack/clients, with the client's own Python."""
import json
import sys
import threading
import time
import unittest

from kubernetes import client, config, dynamic, stream, utils, watch
from kubernetes.client.rest import ApiException

from espalier_platform import Platform

BINARY = sys.argv[1] if len(sys.argv) > 1 else ""  # arguments behind it name tests
WIDGETS = {"group": "example.org", "version": "v1", "plural": "gadgets", "namespace": "default"}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "gadgets.example.org"},
    "spec": {
        "group": "example.org", "scope": "Namespaced",
        "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 0}}},
                "status": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}}


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={key: str(value) for key, value in data.items()})


class ClientTest(unittest.TestCase):
    """One server for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.platform = Platform(BINARY)
        cls.platform.start()
        cls.configuration = client.Configuration()
        config.load_kube_config(f"{cls.platform.directory}/kubeconfig", client_configuration=cls.configuration)
        cls.api = client.ApiClient(cls.configuration)
        cls.core = client.CoreV1Api(cls.api)

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.platform.remove()

    def refused(self, status, reason, call, *arguments, **options):
        with self.assertRaises(ApiException) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.status, status, caught.exception.body)
        self.assertIn(f'"reason":"{reason}"', caught.exception.body.replace(": ", ":"))
        return caught.exception


class Typed(ClientTest):
    def test_create_read_replace_delete(self):
        made = self.core.create_namespaced_config_map("default", config_map("a", n=1))
        self.assertEqual(self.core.read_namespaced_config_map("a", "default").metadata.uid, made.metadata.uid)
        made.data["n"] = "2"
        replaced = self.core.replace_namespaced_config_map("a", "default", made)
        self.assertGreater(int(replaced.metadata.resource_version), int(made.metadata.resource_version))
        self.refused(409, "Conflict", self.core.replace_namespaced_config_map, "a", "default", made)
        self.refused(409, "AlreadyExists", self.core.create_namespaced_config_map, "default", config_map("a"))
        listed = self.core.list_namespaced_config_map("default", field_selector="metadata.name=a")
        self.assertEqual([item.data for item in listed.items], [{"n": "2"}])
        self.assertEqual(self.core.delete_namespaced_config_map("a", "default")["status"], "Success")
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "a", "default")

    def test_errors(self):
        self.refused(422, "Invalid", self.core.create_namespaced_config_map, "default", config_map("No_Name"))
        self.refused(404, "NotFound", self.core.create_namespaced_config_map, "absent", config_map("a"))
        self.refused(400, "BadRequest", self.core.list_namespaced_config_map, "default", label_selector="a b c")
        stranger = client.Configuration()
        config.load_kube_config(f"{self.platform.directory}/kubeconfig", client_configuration=stranger)
        stranger.refresh_api_key_hook = None
        stranger.api_key = {"BearerToken": "Bearer wrong", "authorization": "Bearer wrong"}
        self.refused(401, "Unauthorized", client.CoreV1Api(client.ApiClient(stranger)).list_namespace)

    def test_patch_types(self):
        self.core.create_namespaced_config_map("default", config_map("p", a=1, b=2))
        patch = self.core.patch_namespaced_config_map
        self.assertEqual(patch("p", "default", {"data": {"a": None, "c": "3"}}).data, {"b": "2", "c": "3"})
        operations = [{"op": "replace", "path": "/data/b", "value": "5"}, {"op": "remove", "path": "/data/c"}]
        self.assertEqual(patch("p", "default", operations).data, {"b": "5"})
        merged = patch("p", "default", {"data": {"d": "4"}}, _content_type="application/merge-patch+json")
        self.assertEqual(merged.data, {"b": "5", "d": "4"})
        labels = {"app": "p"}
        apps = client.AppsV1Api(self.api)
        apps.create_namespaced_deployment("default", {"metadata": {"name": "p"}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [{"name": "x", "image": "i"}, {"name": "y", "image": "i"}]}}}})
        change = {"containers": [{"name": "y", "env": [{"name": "E", "value": "1"}]}]}
        patched = apps.patch_namespaced_deployment("p", "default", {"spec": {"template": {"spec": change}}})
        containers = patched.spec.template.spec.containers
        self.assertEqual([item.name for item in containers], ["x", "y"])
        self.assertEqual((containers[1].env[0].value, containers[1].image), ("1", "i"))

    def test_server_side_apply(self):
        def apply(manager, data, force=False):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa"}, **data}
            return self.core.patch_namespaced_config_map(
                "ssa", "default", body, field_manager=manager, force=force, _content_type="application/apply-patch+yaml")

        apply("one", {"data": {"a": "1", "b": "1"}})
        refusal = self.refused(409, "Conflict", apply, "two", {"data": {"a": "2"}})
        self.assertIn("FieldManagerConflict", refusal.body)
        self.assertEqual(apply("two", {"data": {"a": "2"}}, force=True).data, {"a": "2", "b": "1"})
        self.assertEqual(apply("one", {}).data, {"a": "2"}, "what a manager gives up goes, where nobody else has it")
        managers = self.core.read_namespaced_config_map("ssa", "default").metadata.managed_fields
        self.assertEqual({(item.manager, item.operation) for item in managers}, {("two", "Apply")})

    def test_a_lease_goes_to_one_of_many(self):
        leases = client.CoordinationV1Api(self.api)
        lease = client.V1Lease(metadata=client.V1ObjectMeta(name="l"), spec=client.V1LeaseSpec(holder_identity=""))
        leases.create_namespaced_lease("default", lease)
        won, start = [], threading.Barrier(8)

        def contend(name):
            mine = leases.read_namespaced_lease("l", "default")
            start.wait()
            mine.spec.holder_identity = name
            try:
                leases.replace_namespaced_lease("l", "default", mine)
                won.append(name)
            except ApiException as error:
                self.assertEqual(error.status, 409)

        threads = [threading.Thread(target=contend, args=(f"holder-{number}",)) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        self.assertEqual(won, [leases.read_namespaced_lease("l", "default").spec.holder_identity])

    def test_pages_are_of_one_moment(self):
        for number in range(25):
            self.core.create_namespaced_config_map("kube-public", config_map(f"page-{number:02}"))
        first = self.core.list_namespaced_config_map("kube-public", limit=10)
        self.core.delete_namespaced_config_map("page-20", "kube-public")
        names, page = [item.metadata.name for item in first.items], first
        while page.metadata._continue:
            page = self.core.list_namespaced_config_map("kube-public", limit=10, _continue=page.metadata._continue)
            names += [item.metadata.name for item in page.items]
        self.assertEqual(names, ["kube-root-ca.crt"] + [f"page-{number:02}" for number in range(25)])

    def test_dry_run_changes_nothing(self):
        self.core.create_namespaced_config_map("default", config_map("dry"), dry_run="All")
        self.refused(404, "NotFound", self.core.read_namespaced_config_map, "dry", "default")

    def test_create_from_yaml_and_tokens(self):
        utils.create_from_dict(self.api, {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"}})
        body = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
        token = self.core.create_namespaced_service_account_token("robot", "default", body).status.token
        review = client.AuthenticationV1Api(self.api).create_token_review(
            client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token)))
        self.assertEqual(review.status.user.username, "system:serviceaccount:default:robot")


class Custom(ClientTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client.ApiextensionsV1Api(cls.api).create_custom_resource_definition(CRD)
        cls.custom = client.CustomObjectsApi(cls.api)

    def gadget(self, name, size):
        return {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": {"size": size}}

    def test_untyped_use(self):
        self.custom.create_namespaced_custom_object(**WIDGETS, body=self.gadget("g", 1))
        merged = self.custom.patch_namespaced_custom_object(**WIDGETS, name="g", body={"spec": {"size": 2}})
        self.assertEqual((merged["spec"]["size"], merged["metadata"]["generation"]), (2, 2))
        status = self.custom.patch_namespaced_custom_object_status(
            **WIDGETS, name="g", body={"spec": {"size": 9}, "status": {"size": 2}})
        self.assertEqual((status["spec"]["size"], status["status"], status["metadata"]["generation"]), (2, {"size": 2}, 2))
        scale = self.custom.get_namespaced_custom_object_scale(**WIDGETS, name="g")
        self.assertEqual((scale["kind"], scale["spec"]["replicas"], scale["status"]["replicas"]), ("Scale", 2, 2))
        self.custom.patch_namespaced_custom_object_scale(**WIDGETS, name="g", body={"spec": {"replicas": 5}})
        self.assertEqual(self.custom.get_namespaced_custom_object(**WIDGETS, name="g")["spec"]["size"], 5)
        self.refused(422, "Invalid", self.custom.create_namespaced_custom_object, **WIDGETS, body=self.gadget("bad", -1))
        self.custom.delete_namespaced_custom_object(**WIDGETS, name="g")

    def test_dynamic_use(self):
        gadgets = dynamic.DynamicClient(self.api).resources.get(api_version="example.org/v1", kind="Gadget")
        gadgets.create(body=self.gadget("d", 1), namespace="default")
        applied = gadgets.server_side_apply(
            body=self.gadget("d", 3), name="d", namespace="default", field_manager="dynamic", force_conflicts=True)
        self.assertEqual(applied.spec.size, 3)
        with self.assertRaises(dynamic.exceptions.UnsupportedMediaTypeError if hasattr(
                dynamic.exceptions, "UnsupportedMediaTypeError") else dynamic.exceptions.DynamicApiError) as caught:
            gadgets.patch(body={"spec": {"size": 4}}, name="d", namespace="default",
                          content_type="application/strategic-merge-patch+json")
        self.assertEqual(caught.exception.status, 415)
        gadgets.patch(body={"spec": {"size": 4}}, name="d", namespace="default", content_type="application/merge-patch+json")
        seen = [event["object"].spec.size for event in gadgets.watch(namespace="default", timeout=2)]
        self.assertEqual(seen, [4])
        gadgets.delete(name="d", namespace="default")
        with self.assertRaises(dynamic.exceptions.NotFoundError):
            gadgets.get(name="d", namespace="default")


class Watching(ClientTest):
    def test_a_watch_goes_on_where_it_ended(self):
        start = self.core.list_namespaced_config_map("default").metadata.resource_version
        chosen = {"label_selector": "watched=yes"}
        for number in range(20):
            body = config_map(f"w{number:02}")
            body.metadata.labels = {"watched": "yes"}
            self.core.create_namespaced_config_map("default", body)
        first, seen = watch.Watch(), []
        for event in first.stream(
                self.core.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=5, **chosen):
            seen.append(event["object"].metadata.name)
            if len(seen) == 10:
                first.stop()
        resumed = watch.Watch()
        for event in resumed.stream(
                self.core.list_namespaced_config_map, "default", resource_version=first.resource_version,
                timeout_seconds=5, **chosen):
            seen.append(event["object"].metadata.name)
            if len(seen) == 20:
                resumed.stop()
        self.assertEqual(seen, [f"w{number:02}" for number in range(20)])


class Informer(threading.Thread):
    """Lists, watches, goes on after a broken connection, and lists again where the history it needs is gone.

    `changes` holds (name, version) as they came. `gaps` counts the times it had to list again.
    """

    def __init__(self, core):
        super().__init__(daemon=True)
        self.core, self.changes, self.known, self.gaps = core, [], {}, 0
        self.version, self.is_done = None, False

    def run(self):
        while not self.is_done:
            try:
                if self.version is None:
                    self.relist()
                self.follow()
            except ApiException as error:
                if error.status == 410:
                    self.version, self.gaps = None, self.gaps + 1
            except Exception:  # the server is away: ask again
                time.sleep(0.02)

    def relist(self):
        listed = self.core.list_namespaced_config_map("default", label_selector="informed=yes", _request_timeout=10)
        for item in listed.items:
            self.note(item)
        self.version = listed.metadata.resource_version

    def follow(self):
        stream = self.core.list_namespaced_config_map(
            "default", label_selector="informed=yes", resource_version=self.version, watch=True, timeout_seconds=20,
            allow_watch_bookmarks=True, _preload_content=False, _request_timeout=30)
        for line in stream:
            for event in filter(None, line.split(b"\n")):
                self.take(event)

    def take(self, line):
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise ApiException(status=event["object"]["code"])
        metadata = event["object"]["metadata"]
        self.version = metadata["resourceVersion"]
        if event["type"] != "BOOKMARK":
            self.note_change(metadata["name"], int(metadata["resourceVersion"]))

    def note(self, item):
        if self.known.get(item.metadata.name) != int(item.metadata.resource_version):
            self.note_change(item.metadata.name, int(item.metadata.resource_version))

    def note_change(self, name, version):
        self.known[name] = version
        self.changes.append((name, version))


class Reaching(ClientTest):
    """Into pods: exec and port-forward over WebSockets."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        script = ("import socketserver\nclass Shout(socketserver.BaseRequestHandler):\n def handle(self):\n"
                  "  while (d := self.request.recv(65536)): self.request.sendall(d.upper())\n"
                  "socketserver.ThreadingTCPServer(('127.0.0.1', 7000), Shout).serve_forever()")
        cls.core.create_namespaced_pod("default", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shouter"}, "spec": {
                "runtimeClassName": "espalier-process", "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "none", "command": ["python3", "-u", "-c", script]}]}})
        deadline = time.monotonic() + 30
        while cls.core.read_namespaced_pod("shouter", "default").status.phase != "Running":
            assert time.monotonic() < deadline, "the pod does not run"
            time.sleep(0.1)

    def run_in_pod(self, command, **options):
        wanted = {"stdout": True, "stderr": True, "stdin": False, "tty": False, **options}
        return stream.stream(self.core.connect_get_namespaced_pod_exec, "shouter", "default", command=command, **wanted)

    def test_exec(self):
        self.assertEqual(self.run_in_pod(["echo", "hello"]), "hello\n")

    def test_exec_step_by_step(self):
        script = "read line; echo got $line; echo wrong >&2; exit 3"
        link = self.run_in_pod(["sh", "-c", script], stdin=True, _preload_content=False)
        link.write_stdin("words\n")
        link.run_forever(timeout=30)
        self.assertEqual((link.read_stdout(), link.read_stderr(), link.returncode), ("got words\n", "wrong\n", 3))

    def test_exec_where_there_is_no_pod(self):
        with self.assertRaises(ApiException) as caught:
            stream.stream(self.core.connect_get_namespaced_pod_exec, "absent", "default", command=["true"], stdout=True)
        self.assertIn("404", str(caught.exception))

    def test_port_forward(self):
        forward = stream.portforward(self.core.connect_get_namespaced_pod_portforward, "shouter", "default", ports="7000,7001")
        shouter = forward.socket(7000)
        shouter.setblocking(True)
        shouter.sendall(b"hello" * 100_000)
        answer = b""
        while len(answer) < 500_000 and (piece := shouter.recv(65536)):
            answer += piece
        self.assertEqual(answer, b"HELLO" * 100_000)
        deadline = time.monotonic() + 20
        while forward.error(7001) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertIn("Connection refused", forward.error(7001))
        shouter.close()


class Informing(ClientTest):
    def write(self, name, payload=""):
        """Writes until the server says that it has; answers the versions it may have made."""
        while True:
            try:
                body = config_map(name, at=time.monotonic_ns(), payload=payload)
                body.metadata.labels = {"informed": "yes"}
                try:
                    made = self.core.replace_namespaced_config_map(name, "default", body, _request_timeout=10)
                except ApiException as error:
                    if error.status != 404:
                        raise
                    made = self.core.create_namespaced_config_map("default", body, _request_timeout=10)
                return name, int(made.metadata.resource_version)
            except Exception:  # away, or it did not say: a write that was not confirmed may be seen all the same
                time.sleep(0.02)

    def settle(self, informer, expected):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not expected(informer):
            time.sleep(0.05)

    def test_each_change_is_seen_once_while_the_server_is_killed(self):
        informer = Informer(self.core)
        informer.start()
        confirmed, port = [], self.platform.port
        for number in range(300):
            if number % 100 == 50:
                self.platform.kill()
                threading.Thread(
                    target=self.platform.start, kwargs={"listen": f"127.0.0.1:{port}"}, daemon=True).start()
            confirmed.append(self.write(f"i{number % 7}"))
        self.settle(informer, lambda it: set(confirmed) <= set(it.changes))
        informer.is_done = True
        self.assertEqual(informer.gaps, 0)
        self.assertEqual([], sorted(set(confirmed) - set(informer.changes)), "confirmed and never seen")
        self.assertEqual(len(informer.changes), len(set(informer.changes)), "seen twice")
        versions = [version for _, version in informer.changes]
        self.assertEqual(versions, sorted(versions), "out of order")

    def test_the_present_is_seen_once_when_history_was_forgotten(self):
        informer = Informer(self.core)
        informer.relist()
        before = informer.version
        last = dict(self.write(f"big{number % 3}", "x" * 900_000) for number in range(80))
        with self.assertRaises(ApiException) as caught:
            informer.version = before
            while True:
                informer.follow()
        self.assertEqual(caught.exception.status, 410)
        informer.version, informer.changes = None, []
        informer.start()
        self.settle(informer, lambda it: set(last.items()) <= set(it.changes))
        last.update([self.write("big0", "y")])
        self.settle(informer, lambda it: last.items() <= it.known.items())
        informer.is_done = True
        self.assertLessEqual(last.items(), informer.known.items())
        self.assertEqual(len(informer.changes), len(set(informer.changes)), "seen twice")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
