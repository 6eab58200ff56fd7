"""A lossd that is started, watched and ended here."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time

# Longer than lossd takes to start or to end.
DEADLINE = 60
# Calls that got their answer, on the metrics page.
SERVED = 'lossd_rpc_completed_total{code="OK",method="Compute"}'


class Lossd:
    """A process. To be made in the main thread, with whose end it ends."""

    def __init__(self, program, *flags, listen="127.0.0.1:0",
                 descriptors=None):
        """`descriptors` is its ulimit -n."""
        limit = (["prlimit", f"--nofile={descriptors}:{descriptors}"]
                 if descriptors else [])
        # An end of this program that nothing could catch ends it, too.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *limit, str(program), "--listen",
             listen, "--metrics_listen", "127.0.0.1:0", *map(str, flags)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        try:
            event = self._await_serving()
        except BaseException:
            self.kill()
            raise
        self.address = event["listen"][0]
        self.metrics_address = event["metrics_listen"]
        # Else the pipe fills and lossd waits for its reader.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _await_serving(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "serving":
                return event
        raise RuntimeError(f"{self.process.args} did not start")

    def get(self, path, timeout=10):
        """The text at a path of the metrics port."""
        connection = http.client.HTTPConnection(self.metrics_address,
                                                timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def metrics(self):
        """Every sample by its name and labels, as the page has them."""
        lines = (line.rpartition(" ") for line in
                 self.get("/metrics").splitlines() if line[:1] not in ("#", ""))
        return {name: float(value) for name, _, value in lines}

    def _status(self, name):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file
                        if line.startswith(name + ":"))

    def resident_mib(self):
        return self._status("VmRSS") / 1024

    def peak_mib(self):
        return self._status("VmHWM") / 1024

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="utf-8") as f:
            f.write("5")

    def threads(self):
        return self._status("Threads")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def process_seconds(self):
        """Processor time of all its threads."""
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def is_alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self):
        """Ends it as an operator would; the exit code, None if it had to be
        killed."""
        self.process.terminate()
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.signal(signal.SIGCONT)
        self.stop()


def await_true(condition, seconds=30, pause=0.01):
    """Whether it became true in time, and the seconds that it took."""
    start = time.monotonic()
    while True:
        now = time.monotonic()
        if condition():
            return True, now - start
        if now - start > seconds:
            return False, now - start
        time.sleep(pause)


def is_idle(metrics):
    """No call and no memory of a call is left."""
    return (metrics["lossd_memory_reserved_bytes"] == 0
            and metrics['lossd_buffer_pool_bytes{state="used"}'] == 0
            and metrics["lossd_queue_depth_requests"] == 0
            and metrics['lossd_rpc_in_flight{method="Compute"}'] == 0)
