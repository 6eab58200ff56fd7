"""The processes that compare_wire.py calls: lossd, the echo, the Python
service."""

import json
import subprocess
import threading

# Longer than any of them takes to start or to end.
DEADLINE = 60


class Server:
    """A process that says on stdout, in a line of JSON, where it listens."""

    def __init__(self, *command):
        # An end of this program that nothing could catch ends it, too. Nobody
        # writes to its stdin.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses = self._await_addresses()
        # Else the pipe fills and the server waits for its reader.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _await_addresses(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "serving":
                return event["listen"]
        raise RuntimeError(f"{self.process.args[3:]} did not start")

    def peak_mib(self):
        """Most memory that was ever resident."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            kib = next(int(line.split()[1]) for line in file
                       if line.startswith("VmHWM"))
        return kib / 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def lossd(program, listen, *flags):
    words = [word for address in listen for word in ("--listen", address)]
    return Server(program, *words, "--metrics_listen", "off", *flags)


def flags_of(program):
    """What `lossd --help` says."""
    return subprocess.run([program, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
