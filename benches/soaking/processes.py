"""The processes of a soak, which can be killed and started again where they were, and what they use."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PATIENCE = 90


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A process with a log, in a folder of its own."""

    def __init__(self, name: str, folder: pathlib.Path, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.name, self.folder, self.command = name, folder, command
        self.environment = {**os.environ, **(environment or {})}
        self.kills = 0
        self.cpu_before = 0.0
        self.child: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self.child = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, by: int = signal.SIGKILL) -> None:
        if self.child is not None:
            self.cpu_before += self.cpu_of_child()
            self.child.send_signal(by)
            self.child.wait()
            self.child = None

    def has_ended(self) -> bool:
        return self.child is not None and self.child.poll() is not None

    def resident_mb(self) -> float:
        for line in self.proc("status").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self) -> float:
        """Processor time of all processes that were started here."""
        return self.cpu_before + self.cpu_of_child()

    def cpu_of_child(self) -> float:
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def proc(self, what: str) -> str:
        try:
            return pathlib.Path(f"/proc/{self.child.pid}/{what}").read_text() if self.child else ""
        except OSError:
            return ""

    def disk_mb(self) -> float:
        total = 0
        for path, _, files in os.walk(self.folder):
            for name in files:
                try:
                    total += os.stat(os.path.join(path, name)).st_blocks * 512
                except OSError:
                    pass  # Deleted meanwhile.
        return total / (1 << 20)


class Node(Process):
    """A Restate server, one of several if `count` is more than one."""

    def __init__(self, binary: str, folder: pathlib.Path, number: int) -> None:
        super().__init__(f"node{number}", folder, [binary, "--config-file", str(folder / "restate.toml"), "--no-logo"])
        self.number = number
        self.ingress, self.admin, self.port = free_port(), free_port(), free_port()

    def configure(self, nodes: list["Node"]) -> None:
        cluster = f"auto-provision = {str(self.number == 1).lower()}\n"
        if len(nodes) > 1:
            addresses = ", ".join(f'"http://127.0.0.1:{node.port}"' for node in nodes)
            cluster += f'default-replication = 2\n[metadata-client]\ntype = "replicated"\naddresses = [{addresses}]\n'
        text = f"""
node-name = "{self.name}"
bind-ip = "127.0.0.1"
advertised-host = "127.0.0.1"
listen-mode = "tcp"
bind-port = {self.port}
default-num-partitions = 4
disable-telemetry = true
base-dir = "{self.folder / 'data'}"
rocksdb-total-memory-size = "256 MB"
log-disable-ansi-codes = true
log-filter = "warn"
{cluster}
[admin]
bind-port = {self.admin}
disable-web-ui = true
[ingress]
bind-port = {self.ingress}
[worker.invoker]
http2-streams-per-connection-limit = 8
"""
        (self.folder / "restate.toml").write_text(text)

    def await_ready(self) -> None:
        await_answer(f"http://127.0.0.1:{self.admin}/health", self)
        await_answer(f"http://127.0.0.1:{self.ingress}/restate/health", self)


def await_answer(url: str, process: Process) -> None:
    since = time.monotonic()
    while time.monotonic() - since < PATIENCE:
        if process.has_ended():
            raise SystemExit(f"{process.name} ended: see {process.folder / 'log'}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{process.name} is not ready: see {process.folder / 'log'}")
