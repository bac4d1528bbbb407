#!/usr/bin/env python3
"""Helm against a server of its own: helm_client.py BINARY [unittest options], with $HELM_LIBRARY from hack/install-helm.

Helm is its own code, called through plain C functions. What each action did is looked for in what it says, and in the
API without Helm. Standard library only. `hack/clients helm` runs it.
"""
import base64
import ctypes
import gzip
import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from espalier_platform import ROOT, Platform, wait_until  # noqa: E402

CHART = f"{ROOT}/Tests/Helm/orchard"
SECONDS = 60
CORE, APPS, RBAC = "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"
# Everything the chart makes with its own values, and where it is found below a namespace.
OBJECTS = {
    "configmaps": CORE, "secrets": CORE, "serviceaccounts": CORE, "services": CORE, "deployments": APPS, "roles": RBAC,
    "rolebindings": RBAC, "ingresses": "/apis/networking.k8s.io/v1", "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "poddisruptionbudgets": "/apis/policy/v1", "trees": "/apis/orchard.example.org/v1",
    "landscapes": "/apis/espalier.dev/v1alpha1",
}


class HelmError(Exception):
    pass


class Helm:
    """The actions of Helm on one namespace."""

    functions = None

    def __init__(self, kubeconfig, namespace):
        if Helm.functions is None:
            Helm.functions = ctypes.CDLL(os.environ["HELM_LIBRARY"])
            Helm.functions.helm_sdkpy_last_error.restype = ctypes.c_char_p
        self.handle = ctypes.c_ulonglong()
        self._check(self.functions.helm_sdkpy_config_create(
            namespace.encode(), kubeconfig.encode(), None, b"{}", ctypes.byref(self.handle)))

    def close(self):
        self.functions.helm_sdkpy_config_destroy(self.handle)

    def _check(self, code):
        if code != 0:
            raise HelmError(self.functions.helm_sdkpy_last_error().decode())

    def _call(self, action, *arguments):
        """Calls `action`; texts go over as bytes, everything else as it is. Answers what it says."""
        said = ctypes.c_char_p()
        function = getattr(self.functions, f"helm_sdkpy_{action}")
        sent = [argument.encode() if isinstance(argument, str) else argument for argument in arguments]
        self._check(function(self.handle, *sent, ctypes.byref(said)))
        return json.loads(said.value)

    def _release(self, action, name, values, options):
        defaults = {"wait": True, "timeout_seconds": SECONDS, "server_side_apply": "false"}
        return self._call(action, name, CHART, json.dumps(values), "", json.dumps({**defaults, **options}))

    def install(self, name, values={}, **options):
        return self._release("install", name, values, {"create_namespace": True, **options})

    def upgrade(self, name, values={}, **options):
        return self._release("upgrade", name, values, {"server_side_apply": "auto", "max_history": 10, **options})

    def uninstall(self, name):
        return self._call("uninstall", name, 1, SECONDS)

    def list(self):
        return self._call("list", 1) or []

    def status(self, name):
        return self._call("status", name)

    def history(self, name):
        return self._call("history", name)

    def values(self, name):
        return self._call("get_values", name, 0)

    def test(self, name):
        return self._call("test", name)


class HelmTest(unittest.TestCase):
    """A namespace of its own on a server that all share."""

    binary = None

    @classmethod
    def setUpClass(cls):
        cls.platform = HelmTest.running = Platform(cls.binary)
        cls.platform.start()
        cls.namespace = cls.__name__.lower()
        cls.helm = Helm(f"{cls.platform.directory}/kubeconfig", cls.namespace)

    @classmethod
    def tearDownClass(cls):
        cls.helm.close()
        cls.platform.stop()
        cls.platform.remove()

    def path(self, resource, name=None, group=None):
        collection = f"{group or OBJECTS[resource]}/namespaces/{self.namespace}/{resource}"
        return f"{collection}/{name}" if name else collection

    def get(self, resource, name, group=None):
        """The object, or None."""
        status, found = self.platform.request("GET", self.path(resource, name, group))
        if status == 404:
            return None
        self.assertEqual(status, 200, found)
        return found

    def patch(self, resource, name, change):
        status, found = self.platform.request(
            "PATCH", self.path(resource, name), change, content_type="application/merge-patch+json")
        self.assertEqual(status, 200, found)
        return found

    def releases(self, name):
        """{revision: status} as the release Secrets have it, each of which must hold that release."""
        _, found = self.platform.request(
            "GET", self.path("secrets") + f"?labelSelector=owner%3Dhelm%2Cname%3D{name}")
        result = {}
        for secret in found["items"]:
            self.assertEqual(secret["type"], "helm.sh/release.v1")
            held = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
            labels = secret["metadata"]["labels"]
            self.assertEqual((held["name"], str(held["version"]), held["info"]["status"]),
                             (labels["name"], labels["version"], labels["status"]))
            result[held["version"]] = held["info"]["status"]
        return result

    def missing(self, name):
        """Which of the chart's objects are not there."""
        return sorted(resource for resource in OBJECTS if self.get(resource, name) is None)


class Life(HelmTest):
    """One release from install to uninstall, in the order of the names."""

    def test_1_install(self):
        self.helm.install("orchard", {"settings": {"shade": "none"}})
        self.assertEqual(self.missing("orchard"), [])
        self.assertEqual(self.releases("orchard"), {1: "deployed"})
        # Helm said that it waited: for the hook that had to end well, for pods that run, for the definition of its kind.
        self.assertEqual(self.get("pods", "orchard-prepare", CORE)["status"]["phase"], "Succeeded")
        self.assertEqual(self.get("deployments", "orchard")["status"]["availableReplicas"], 1)
        self.assertEqual(self.get("trees", "orchard")["spec"], {"count": 3, "shape": "fan"})
        self.assertEqual(self.get("configmaps", "orchard")["data"],
                         {"message": "spring", "shade": "none", "soil": "loam", "water": "daily"})
        self.assertEqual(base64.b64decode(self.get("secrets", "orchard")["data"]["password"]), b"orchard-spring")
        self.assertEqual(self.get("configmaps", "orchard-note")["data"], {"revision": "1"})
        conditions = {c["type"]: c["status"] for c in self.get("landscapes", "orchard")["status"]["conditions"]}
        self.assertEqual(conditions["Ready"], "True")
        owner = {k: v for k, v in self.get("services", "orchard")["metadata"]["annotations"].items() if "helm.sh" in k}
        self.assertEqual(owner, {"meta.helm.sh/release-name": "orchard", "meta.helm.sh/release-namespace": self.namespace})

    def test_2_reading(self):
        self.assertEqual([(r["name"], r["version"], r["info"]["status"]) for r in self.helm.list()],
                         [("orchard", 1, "deployed")])
        self.assertEqual(self.helm.status("orchard")["info"]["notes"].strip(), f"orchard keeps 3 trees in {self.namespace}.")
        self.assertEqual(self.helm.values("orchard"), {"settings": {"shade": "none"}})
        with self.assertRaisesRegex(HelmError, "not found"):
            self.helm.status("nothing")
        with self.assertRaisesRegex(HelmError, "cannot reuse a name|cannot re-use a name"):
            self.helm.install("orchard")

    def test_3_the_test_of_the_chart(self):
        self.helm.test("orchard")
        self.assertEqual(self.get("pods", "orchard-test", CORE)["status"]["phase"], "Succeeded")

    def test_4_upgrade_is_a_merge_of_three(self):
        before = self.get("deployments", "orchard")
        self.patch("configmaps", "orchard", {"data": {"mine": "kept", "message": "changed by hand"}})
        self.patch("deployments", "orchard", {"metadata": {"annotations": {"example.org/mine": "kept"}}})
        self.patch("trees", "orchard", {"spec": {"shape": "column"}})
        self.helm.upgrade("orchard", {
            "message": "summer", "trees": 5, "settings": {"light": "much"}, "budget": {"enabled": False}})
        # What the chart had and has no more goes, what it has comes, what it never had stays.
        self.assertEqual(self.get("configmaps", "orchard")["data"],
                         {"message": "summer", "light": "much", "mine": "kept", "soil": "loam", "water": "daily"})
        after = self.get("deployments", "orchard")
        self.assertEqual(after["metadata"]["annotations"]["example.org/mine"], "kept")
        self.assertEqual(after["metadata"]["uid"], before["metadata"]["uid"])
        container = after["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual({"name": "MESSAGE", "value": "summer"}, container["env"][0])
        self.assertEqual(after["status"]["updatedReplicas"], 1)
        self.assertEqual(self.get("trees", "orchard")["spec"], {"count": 5, "shape": "column"})
        self.assertEqual(self.missing("orchard"), ["poddisruptionbudgets"])
        self.assertEqual(self.get("configmaps", "orchard-note")["data"], {"revision": "2"})
        self.assertEqual(self.releases("orchard"), {1: "superseded", 2: "deployed"})

    def test_5_a_kind_without_a_controller_comes_and_goes(self):
        job = ("jobs", "orchard", "/apis/batch/v1")
        self.helm.upgrade("orchard", {"job": {"enabled": True}}, wait=False, reuse_values=True)
        self.assertEqual(self.get(*job)["spec"]["template"]["spec"]["restartPolicy"], "Never")
        self.assertEqual(self.get("trees", "orchard")["spec"]["count"], 5)
        self.helm.upgrade("orchard", {"job": {"enabled": False}}, reuse_values=True)
        self.assertIsNone(self.get(*job))

    def test_6_what_fails_says_why_and_leaves_its_trace(self):
        with self.assertRaisesRegex(HelmError, r"spec\.replicas: Invalid value: -1: must be greater than or equal to 0"):
            self.helm.upgrade("orchard", {"replicas": -1})
        with self.assertRaisesRegex(HelmError, r"pre-upgrade hooks failed"):
            self.helm.upgrade("orchard", {"hookFails": True})
        self.assertEqual(self.releases("orchard"), {
            1: "superseded", 2: "superseded", 3: "superseded", 4: "deployed", 5: "failed", 6: "failed"})
        self.assertEqual(self.get("deployments", "orchard")["spec"]["replicas"], 1)

    def test_7_rollback(self):
        # What fails half way goes back to the last revision that was good. (The library's function for a rollback alone
        # cannot be used: it never says how to wait, and Helm refuses that before it asks a server.)
        with self.assertRaisesRegex(HelmError, r"has been rolled back.* should be greater than or equal to 0"):
            self.helm.upgrade("orchard", {"message": "winter", "trees": -1}, rollback_on_failure=True)
        # The budget had come with the failed upgrade, and the text had changed, before the tree was refused.
        self.assertEqual(self.missing("orchard"), ["poddisruptionbudgets"])
        self.assertEqual(self.get("configmaps", "orchard")["data"],
                         {"message": "summer", "light": "much", "mine": "kept", "soil": "loam", "water": "daily"})
        self.assertEqual(self.get("trees", "orchard")["spec"]["count"], 5)
        last = self.helm.history("orchard")[-2:]
        self.assertEqual([(r["version"], r["info"]["status"]) for r in last], [(7, "failed"), (8, "deployed")])
        self.assertEqual(last[-1]["info"]["description"], "Rollback to 4")
        self.assertEqual(self.releases("orchard")[8], "deployed")

    def test_8_uninstall(self):
        self.helm.uninstall("orchard")
        self.assertEqual(self.missing("orchard"), sorted(OBJECTS))
        self.assertEqual(self.releases("orchard"), {})
        self.assertEqual(self.helm.list(), [])
        wait_until("the pods of the deployment are gone", lambda: not [
            pod for pod in self.platform.request("GET", self.path("pods", group=CORE))[1]["items"]
            if "ownerReferences" in pod["metadata"]])
        # Definitions hold everybody's data: Helm never takes them along.
        status, _ = self.platform.request(
            "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trees.orchard.example.org")
        self.assertEqual(status, 200)


class Applied(HelmTest):
    """A release by server-side apply, judged by the OpenAPI documents first."""

    def test_1_install(self):
        self.helm.install("applied", server_side_apply="true", disable_openapi_validation=False)
        self.assertEqual(self.missing("applied"), [])
        managers = self.get("configmaps", "applied")["metadata"]["managedFields"]
        self.assertEqual([entry["operation"] for entry in managers], ["Apply"])

    def test_2_what_the_chart_gives_up_goes(self):
        self.helm.upgrade("applied", {"settings": {"water": None}, "message": "autumn"}, disable_openapi_validation=False)
        self.assertEqual(self.get("configmaps", "applied")["data"], {"message": "autumn", "soil": "loam"})

    def test_3_conflicts(self):
        status, _ = self.platform.request(
            "PATCH", self.path("configmaps", "applied") + "?fieldManager=somebody&force=true",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"message": "mine"}}, "application/apply-patch+yaml")
        self.assertEqual(status, 200)
        with self.assertRaisesRegex(HelmError, r'conflict.* with "somebody"'):
            self.helm.upgrade("applied", {"message": "winter"})
        self.assertEqual(self.get("configmaps", "applied")["data"]["message"], "mine")
        self.helm.upgrade("applied", {"message": "winter"}, force_conflicts=True)
        self.assertEqual(self.get("configmaps", "applied")["data"]["message"], "winter")

    def test_4_an_install_that_fails_takes_along_what_it_made(self):
        with self.assertRaisesRegex(HelmError, r"\.spec\.count: expected numeric \(int or float\), got string"):
            self.helm.install("wrong", {"trees": "many"}, server_side_apply="true", rollback_on_failure=True)
        self.assertEqual(self.missing("wrong"), sorted(OBJECTS))
        self.assertEqual(self.releases("wrong"), {})


def give_up(*_):
    """Ended from outside: the server goes too."""
    HelmTest.running.stop()
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, give_up)
    HelmTest.binary = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, warnings="ignore")
