"""A lossd process for the tests: the program that PROGRAM_OF_LOSSD names."""

import os
import re
import subprocess
import threading

# Longer than anything here takes, with sanitizers too.
DEADLINE = 120


class Server:
    """A lossd process."""

    def __init__(self, *flags, listen="127.0.0.1:0"):
        self._process = subprocess.Popen(
            [os.environ["PROGRAM_OF_LOSSD"], "--listen", listen,
             "--metrics_listen", "", *flags],
            stdout=subprocess.PIPE, text=True)
        self.target = None
        for line in self._process.stdout:
            found = re.search(r'"event":"serving".*"listen":\["([^"]*)"', line)
            if found:
                self.target = found[1]
                break
        assert self.target, "lossd did not start"
        # Else the pipe fills and lossd waits for its reader.
        self._reader = threading.Thread(target=self._process.stdout.read,
                                        daemon=True)
        self._reader.start()

    def kill(self):
        self._process.kill()
        self._process.wait(DEADLINE)

    def stop(self):
        self._process.terminate()
        try:
            assert self._process.wait(DEADLINE) == 0
        finally:
            self._process.kill()
