"""A lossd that tests in Python talk to."""

import json
import subprocess
import time
import urllib.request

# Longer than anything here takes, with sanitizers too.
DEADLINE = 120


class Lossd:
    """A lossd that serves TCP and a Unix socket, and what it logs."""

    def __init__(self, program, folder, *flags):
        self.socket = f"unix:{folder}/socket"
        self.process = subprocess.Popen(
            [program, "--listen", "localhost:0", "--listen", self.socket,
             "--metrics_listen", "127.0.0.1:0", "--threads", "1", *flags],
            stdout=subprocess.PIPE, text=True)
        self.log = []
        serving = self.await_event("serving")
        self.tcp = serving["listen"][0]
        self.http = serving["metrics_listen"]

    def await_event(self, event):
        for line in self.process.stdout:
            self.log.append(line)
            entry = json.loads(line)
            if entry["event"] == event:
                return entry
        raise AssertionError(f"no {event} in {self.log}")

    def metrics(self):
        with urllib.request.urlopen(f"http://{self.http}/metrics",
                                    timeout=DEADLINE) as page:
            return page.read().decode()

    def await_metrics(self, *lines):
        """Lines of the page without their lossd_: calls are counted a moment
        after they are answered."""
        deadline = time.monotonic() + DEADLINE
        missing = lines
        while missing:
            page = self.metrics().splitlines()
            missing = [line for line in lines if f"lossd_{line}" not in page]
            assert time.monotonic() < deadline, (missing, page)

    def stop(self):
        self.process.terminate()
        self.log += self.process.stdout.readlines()
        assert self.process.wait(DEADLINE) == 0
        self.process.stdout.close()
