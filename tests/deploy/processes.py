"""lossd, lossctl, promtool and Prometheus as processes of the tests.

The environment names where they are: RELEASE_BIN and PROMETHEUS_BIN.
"""

import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "deploy/prometheus"
DASHBOARD = REPOSITORY / "deploy/grafana/lossd.json"

# Longer than anything here takes.
DEADLINE = 120


def program(variable, name):
    return str((REPOSITORY / os.environ[variable] / name).resolve())


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True,
                          timeout=DEADLINE, check=False, **options)


def promtool(*arguments, **options):
    return run([program("PROMETHEUS_BIN", "promtool"), *arguments], **options)


class Process:
    """Started with a log, which is read up to one line for each pattern."""

    def __init__(self, command, log, *patterns):
        self._process = subprocess.Popen(command, text=True, **{
            log: subprocess.PIPE,
            "stderr" if log == "stdout" else "stdout": subprocess.DEVNULL})
        lines = getattr(self._process, log)
        self.found = [self._await(pattern, lines) for pattern in patterns]
        # Else the pipe fills and the process waits for its reader.
        threading.Thread(target=lines.read, daemon=True).start()

    @staticmethod
    def _await(pattern, lines):
        for line in lines:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"the log ended without {pattern}")

    def stop(self):
        self._process.terminate()
        try:
            return self._process.wait(DEADLINE)
        finally:
            self._process.kill()


class Lossd(Process):
    """A lossd on free ports."""

    def __init__(self, *flags):
        super().__init__([program("RELEASE_BIN", "lossd"), "--listen",
                          "127.0.0.1:0", "--metrics_listen", "127.0.0.1:0",
                          *flags],
                         "stdout",
                         r'"event":"serving".*"listen":\["([^"]*)"'
                         r'.*"metrics_listen":"([^"]*)"')
        self.target, self.metrics = self.found[0].groups()

    def page(self):
        """The metrics page when every RPC has been counted to its end."""
        while True:
            with urllib.request.urlopen(f"http://{self.metrics}/metrics",
                                        timeout=DEADLINE) as reply:
                page = reply.read().decode()
            samples = samples_of(page)
            if not any(value for name, value in samples.items()
                       if name.startswith("lossd_rpc_in_flight")):
                return page

    def bench(self, *flags):
        """What `lossctl bench` reports."""
        outcome = run([program("RELEASE_BIN", "lossctl"), "bench", "--format",
                       "json", "--server", self.target, *flags])
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)


def samples_of(page):
    """Values by name and labels, as they stand in the page."""
    lines = [line.rsplit(" ", 1) for line in page.splitlines()
             if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


class Prometheus(Process):
    """Scrapes `targets` ten times a second, with the rules of deploy/."""

    def __init__(self, folder, targets):
        config = {
            "global": {"scrape_interval": "100ms",
                       "evaluation_interval": "100ms"},
            "rule_files": [str(path) for path in RULES.glob("*_rules.yml")],
            "scrape_configs": [{"job_name": "lossd",
                                "static_configs": [{"targets": targets}]}]}
        # JSON is YAML.
        path = folder / "prometheus.yml"
        path.write_text(json.dumps(config))
        super().__init__([program("PROMETHEUS_BIN", "prometheus"),
                          f"--config.file={path}",
                          f"--storage.tsdb.path={folder / 'data'}",
                          "--web.listen-address=127.0.0.1:0"],
                         "stderr", r'msg="Listening on" address=(\S+)',
                         "Server is ready to receive web requests")
        self._url = f"http://{self.found[0][1]}/api/v1/"

    def get(self, path, **parameters):
        url = self._url + path + "?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}")

    def query(self, text):
        return self.get("query", query=text)["result"]

    def await_result(self, text):
        """The result when there is one."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            result = self.query(text)
            if result:
                return result
        raise AssertionError(f"nothing answers {text}")
