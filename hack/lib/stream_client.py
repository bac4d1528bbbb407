"""kubectl exec, cp, attach, run -it, port-forward and logs -f against a server of its own. Run by hack/clients with each
kubectl that is here: stream_client.py ESPALIER KUBECTL [test ...]"""
import fcntl
import hashlib
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
import urllib.request

from espalier_platform import Platform

BINARY, KUBECTL = (sys.argv + ["", ""])[1:3]
RUNTIME = '{"spec":{"runtimeClassName":"espalier-process"}}'
WEB = """import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer(b"hello from the pod")
    def do_POST(self): self.answer(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("served", len(body), flush=True)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""


def pod(name, command, **container):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "runtimeClassName": "espalier-process", "terminationGracePeriodSeconds": 1, "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "none", "command": command, "workingDir": "/tmp", **container}]}}


class Terminal:
    """A program on a terminal of its own, of 97 columns and 31 rows."""

    def __init__(self, command, environment):
        self.output = b""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.resize(97, 31)

    def resize(self, columns, rows):
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, until=None, timeout=30):
        """What it shows, up to where `until` stands in what came since the last call, or its end."""
        start, deadline = len(self.output), time.monotonic() + timeout
        while until is None or until not in self.output[start:]:
            if not select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"waited for {until}, saw {self.output[start:]}")
            try:
                piece = os.read(self.descriptor, 65536)
            except OSError:
                piece = b""
            if not piece:
                break
            self.output += piece
        return self.output[start:]

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def wait(self):
        self.read()
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)


class Streams(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = Platform(BINARY)
        cls.platform.start()
        cls.environment = {**os.environ, "KUBECONFIG": f"{cls.platform.directory}/kubeconfig", "HOME": cls.platform.directory}
        for made in [pod("web", ["python3", "-c", WEB]), pod("quiet", ["sleep", "3600"])]:
            status, answer = cls.platform.request("POST", "/api/v1/namespaces/default/pods", made)
            assert status == 201, answer
        cls.kubectl_("wait", "--for=condition=Ready", "pod/web", "pod/quiet", "--timeout=30s", check=True)
        deadline = time.monotonic() + 20
        while cls.kubectl_("exec", "web", "--", "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000))").returncode:
            assert time.monotonic() < deadline, "the pod does not serve"

    @classmethod
    def tearDownClass(cls):
        cls.platform.stop()
        cls.platform.remove()

    @classmethod
    def kubectl_(cls, *arguments, stdin=b"", check=False, timeout=60):
        return subprocess.run(
            [KUBECTL, *arguments], input=stdin, capture_output=True, timeout=timeout, check=check, env=cls.environment)

    def terminal(self, *arguments):
        return Terminal([KUBECTL, *arguments], self.environment)

    # exec

    def test_outputs_and_exit_code(self):
        done = self.kubectl_("exec", "quiet", "--", "sh", "-c", "echo out; echo wrong >&2; pwd; exit 3")
        self.assertEqual((done.returncode, done.stdout), (3, b"out\n/tmp\n"))
        self.assertTrue(done.stderr.startswith(b"wrong\n"), done.stderr)

    def test_a_program_that_is_not_there(self):
        done = self.kubectl_("exec", "quiet", "--", "no-such-program")
        self.assertEqual(done.returncode, 127)
        self.assertIn(b"cannot run no-such-program: No such file", done.stderr)

    def test_pods_that_do_not_run_it(self):
        self.assertIn(b'pods "absent" not found', self.kubectl_("exec", "absent", "--", "true").stderr)
        done = self.kubectl_("exec", "quiet", "-c", "other", "--", "true")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, b"container (other )?(is )?not (found|valid)")

    def test_megabytes_pass_both_ways(self):
        sent = os.urandom(8 << 20)
        done = self.kubectl_("exec", "-i", "quiet", "--", "cat", stdin=sent)
        self.assertEqual(hashlib.sha256(done.stdout).digest(), hashlib.sha256(sent).digest())

    def test_a_reader_that_is_slow_holds_the_command_back(self):
        process = subprocess.Popen(
            [KUBECTL, "exec", "quiet", "--", "sh", "-c", "head -c 64000000 /dev/zero; echo done >&2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        self.assertEqual(select.select([process.stderr], [], [], 2)[0], [], "nobody has read, and all of it was taken")
        output, error = process.communicate(timeout=60)
        self.assertEqual((len(output), error, process.returncode), (64_000_000, b"done\n", 0))

    def test_what_a_command_leaves_behind_does_not_hold_it_up(self):
        began = time.monotonic()
        done = self.kubectl_("exec", "quiet", "--", "sh", "-c", "sleep 77 & echo $!")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(self.kubectl_("exec", "quiet", "--", "kill", done.stdout.decode().strip()).returncode, 0)
        noisy = self.kubectl_("exec", "quiet", "--", "sh", "-c", "yes & echo $! >&2")
        self.assertEqual(noisy.returncode, 0)
        self.assertLess(time.monotonic() - began, 40)
        self.kubectl_("exec", "quiet", "--", "kill", noisy.stderr.decode().strip())

    def test_a_pipe_that_is_closed_ends_its_writer(self):
        done = self.kubectl_("exec", "quiet", "--", "sh", "-c", "yes | head -n 1")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"y\n", b""))

    def test_a_terminal_that_is_let_go_of_and_taken_again(self):
        script = ("exec 3<&0; T=$(tty); exec <&- >&- 2>&- 3<&-; i=0; "
                  "while [ $i -lt 300 ]; do : <>$T; i=$((i+1)); done; echo survived >$T")
        terminal = self.terminal("exec", "-it", "quiet", "--", "sh", "-c", script)
        terminal.read(b"survived")
        self.assertEqual(terminal.wait(), 0)

    def test_a_client_that_goes_takes_its_command_along(self):
        process = subprocess.Popen([KUBECTL, "exec", "quiet", "--", "sleep", "4321"], env=self.environment)
        self.eventually(lambda: self.count("sleep 4321") == 1)
        process.kill()
        process.wait()
        self.eventually(lambda: self.count("sleep 4321") == 0)

    def test_a_terminal(self):
        terminal = self.terminal("exec", "-it", "quiet", "--", "sh")
        terminal.read(b"$ ")
        terminal.type("stty size\n")
        terminal.read(b"31 97")
        terminal.resize(120, 40)
        terminal.type("sleep 1; stty size; echo $TERM\n")
        self.assertIn(b"xterm", terminal.read(b"xterm"))
        self.assertIn(b"40 120", terminal.output)
        terminal.type("sleep 1000\n")
        time.sleep(1)
        terminal.type("\x03")
        terminal.type("echo in$((1+1))terrupted\n")
        terminal.read(b"in2terrupted")
        terminal.type("exit 6\n")
        self.assertEqual(terminal.wait(), 6)

    def test_nothing_runs_before_the_sandbox_stands(self):
        own = os.readlink("/proc/self/ns/mnt").encode()
        for number in range(3):
            self.platform.request("POST", "/api/v1/namespaces/default/pods", pod(f"early-{number}", ["sleep", "3600"]))
            deadline, seen = time.monotonic() + 20, set()
            while len(seen) < 3:
                self.assertLess(time.monotonic(), deadline, "the pod does not run")
                done = self.kubectl_("exec", f"early-{number}", "--", "readlink", "/proc/self/ns/mnt")
                if done.returncode == 0:
                    self.assertNotEqual(done.stdout.strip(), own)
                    seen.add(time.monotonic())

    # cp

    def test_folders_are_copied(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/tree")
            contents = {f"file {number}": os.urandom(300_000 * number) for number in range(4)}
            for name, content in contents.items():
                with open(f"{folder}/tree/{name}", "wb") as file:
                    file.write(content)
            sent = self.kubectl_("cp", f"{folder}/tree", "quiet:/tmp/tree")
            self.assertEqual(sent.returncode, 0, sent.stderr)
            fetched = self.kubectl_("cp", "quiet:/tmp/tree", f"{folder}/back")
            self.assertEqual(fetched.returncode, 0, fetched.stderr)
            for name, content in contents.items():
                with open(f"{folder}/back/{name}", "rb") as file:
                    self.assertEqual(file.read(), content, name)

    # port-forward

    def test_ports_are_forwarded(self):
        process = subprocess.Popen(
            [KUBECTL, "port-forward", "pod/web", ":8000", ":9999"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=self.environment)
        try:
            ports = {}
            while len(ports) < 2:
                words = process.stdout.readline().split()
                self.assertTrue(words, "port-forward ended")
                if words[0] == "Forwarding" and words[2].startswith("127.0.0.1:"):
                    ports[words[4]] = words[2].split(":")[1]
            url = f"http://127.0.0.1:{ports['8000']}/"
            self.assertEqual(urllib.request.urlopen(url, timeout=20).read(), b"hello from the pod")
            sent = os.urandom(4 << 20)
            answers = [None] * 8

            def ask(index):
                answers[index] = urllib.request.urlopen(url, sent, timeout=60).read() == sent

            threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(answers))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, [True] * len(answers))
            # Nobody listens there: the connection ends, kubectl says why.
            with self.assertRaises(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{ports['9999']}/", timeout=20).read()
            while "Connection refused" not in (line := process.stdout.readline()):
                self.assertTrue(line, "kubectl did not say why")
        finally:
            process.kill()
            process.communicate()

    # attach, run and logs

    def test_attach_shows_what_comes(self):
        process = subprocess.Popen([KUBECTL, "attach", "web"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)
        try:
            deadline = time.monotonic() + 20
            while not select.select([process.stdout], [], [], 0.5)[0]:
                self.assertLess(time.monotonic(), deadline, "nothing came")
                self.kubectl_("exec", "web", "--", "python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/')")
            self.assertEqual(process.stdout.readline(), b"served 18\n")
        finally:
            process.kill()
            process.communicate()

    def test_run_reads_what_is_piped_in(self):
        done = self.kubectl_(
            "run", "piped", "--image=none", "--rm", "-i", "--restart=Never", f"--overrides={RUNTIME}", "--command", "--",
            "sh", "-c", "sleep 2; wc -c", stdin=b"x" * 100_000)
        self.assertTrue(done.stdout.startswith(b"100000\n"), (done.stdout, done.stderr))

    def test_only_the_first_who_writes_has_the_input(self):
        made = pod("once", ["sh", "-c", "cat; echo end; exec sleep 3600"], stdin=True, stdinOnce=True)
        self.platform.request("POST", "/api/v1/namespaces/default/pods", made)
        self.kubectl_("wait", "--for=condition=Ready", "pod/once", "--timeout=30s", check=True)
        looking = subprocess.Popen([KUBECTL, "attach", "once"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
        time.sleep(1)
        looking.kill()
        looking.wait()
        first = subprocess.Popen(
            [KUBECTL, "attach", "-i", "once"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)
        first.stdin.write(b"words\n")
        first.stdin.flush()
        self.assertEqual(first.stdout.readline(), b"words\n")
        for _ in range(20):
            second = subprocess.Popen(
                [KUBECTL, "attach", "-i", "once"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment)
            time.sleep(0.3)
            second.kill()
            second.communicate()
        first.stdin.close()
        self.assertEqual(first.stdout.readline(), b"end\n")
        first.kill()
        first.wait()
        first.stdout.close()
        self.assertEqual(self.kubectl_("get", "--raw", "/readyz").stdout, b"ok")

    def test_run_on_a_terminal(self):
        terminal = self.terminal(
            "run", "shell", "--image=none", "--rm", "-it", "--restart=Never", f"--overrides={RUNTIME}", "--command", "--", "sh")
        terminal.read(b"enter.")
        terminal.type("\n")
        terminal.read(b"$ ")
        terminal.type("stty size; sleep 1000\n")
        terminal.read(b"31 97")
        time.sleep(1)
        terminal.type("\x03")
        terminal.type("exit 4\n")
        self.assertEqual(terminal.wait(), 4)

    def test_logs_are_followed_to_the_end(self):
        script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done"
        self.platform.request("POST", "/api/v1/namespaces/default/pods", pod("counting", ["sh", "-c", script]))
        self.eventually(lambda: self.kubectl_("logs", "counting").returncode == 0)
        done = self.kubectl_("logs", "-f", "counting")
        self.assertEqual(done.stdout, b"".join(b"line %d\n" % number for number in range(1, 6)))

    # helpers

    def count(self, command):
        """Processes with this command line that belong to the server's pods."""
        return sum(found == command for found in self.platform.processes().values())

    def eventually(self, holds, timeout=20):
        deadline = time.monotonic() + timeout
        while not holds():
            self.assertLess(time.monotonic(), deadline, "it did not come true")
            time.sleep(0.1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2, warnings="ignore")
