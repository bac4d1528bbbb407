"""A Podman of the benchmark's own: a store in a temporary folder, its service on a socket, one image of busybox."""
import os
import shutil
import subprocess
import tempfile
import time

IMAGE = "localhost/bench:1"


class ImageEngine:
    """Started by `with`; everything of it is gone afterwards."""

    def __enter__(self):
        missing = [name for name in ("podman", "busybox") if not shutil.which(name)]
        if missing:
            raise SystemExit(f"{' and '.join(missing)} not found: hack/install-dependencies podman runc busybox-static")
        self.folder = tempfile.mkdtemp(prefix="espalier-engine-")
        with open(f"{self.folder}/containers.conf", "w") as file:
            file.write('[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n[engine]\n'
                       'cgroup_manager = "cgroupfs"\nevents_logger = "file"\nlock_type = "file"\nruntime = "runc"\n')
        self.environment = {**os.environ, "CONTAINERS_CONF": f"{self.folder}/containers.conf", "TMPDIR": self.folder}
        self.command = [
            "podman", "--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run", "--network-config-dir", f"{self.folder}/net",
            "--tmpdir", f"{self.folder}/tmp", "--cgroup-manager=cgroupfs", "--storage-driver=overlay", "--events-backend=file"]
        tree = f"{self.folder}/tree"
        os.makedirs(f"{tree}/bin")
        shutil.copy(shutil.which("busybox"), f"{tree}/bin/busybox")
        for name in ("sh", "sleep", "nc", "true", "cat"):
            os.symlink("busybox", f"{tree}/bin/{name}")
        subprocess.run(["tar", "-C", tree, "-cf", f"{self.folder}/image.tar", "."], check=True)
        self.podman("import", "--change", 'CMD ["/bin/sleep","100000"]', f"{self.folder}/image.tar", IMAGE)
        self.socket = f"{self.folder}/engine.sock"
        self.service = subprocess.Popen(
            [*self.command, "system", "service", "--time=0", f"unix://{self.socket}"], env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            time.sleep(0.01)
        os.environ["CONTAINER_HOST"] = f"unix://{self.socket}"
        return self

    def podman(self, *arguments):
        """Runs Podman's command line on this store; its standard output."""
        done = subprocess.run([*self.command, *arguments], env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"podman {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def __exit__(self, *_):
        os.environ.pop("CONTAINER_HOST", None)
        self.podman("rm", "-af", "-t", "0")
        self.service.terminate()
        self.service.wait()
        for line in reversed(open("/proc/self/mounts").read().splitlines()):
            if line.split()[1].startswith(self.folder):
                subprocess.run(["umount", "-l", line.split()[1]], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
