"""h2load of nghttp2, which costs far less than a client of gRPC."""

import pathlib
import re
import subprocess
import tempfile

from calls import COMPUTE, announce
from http2_frames import message


class H2load:
    """One that runs beside us, sending a request of Compute again and again."""

    def __init__(self, address, request, *flags):
        self._folder = tempfile.TemporaryDirectory()
        body = pathlib.Path(self._folder.name, "body")
        body.write_bytes(message(request))
        # Gradients come through the widest windows that there are.
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "h2load", *map(str, flags),
             "-d", body, "-w", "30", "-W", "30",
             "-H", "content-type: application/grpc", "-H", "te: trailers",
             *(f"-H{name}: {value}" for name, value in announce(request)),
             f"http://{address}{COMPUTE}"], text=True,
            stdout=subprocess.PIPE)

    def result(self):
        """Requests that were answered, with whatever status, and their
        number in a second."""
        out, _ = self.process.communicate(timeout=300)
        if self.process.returncode != 0:
            raise RuntimeError(out)
        return (int(re.search(r"(\d+) succeeded", out)[1]),
                float(re.search(r"([\d.]+) req/s", out)[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()
