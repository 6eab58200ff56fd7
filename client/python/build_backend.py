"""Builds the wheel of lossd (PEP 517): the package as it lies here, and what
generate.py makes of ../../proto.

It imports the standard library alone, so that pip needs no network to build.
"""

import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


def _metadata(project):
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License: {project['license']['text']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {name}" for name in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(lines) + "\n\n" + (HERE / "README.md").read_text("utf-8")


def _generate(folder):
    # pip hides the installed packages from a build; protobuf, which the
    # generator needs, is one of them.
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("PYTHONPATH", "PYTHONNOUSERSITE")}
    subprocess.run([sys.executable, str(HERE / "generate.py"), folder],
                   env=environment, check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Writes the wheel and returns its name."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    prefix = f"{project['name']}-{project['version']}"
    name = f"{prefix}-py3-none-any.whl"
    record = []
    with tempfile.TemporaryDirectory() as generated, zipfile.ZipFile(
            pathlib.Path(wheel_directory) / name, "w",
            zipfile.ZIP_DEFLATED) as wheel:

        def add(path, data):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            record.append(f"{path},sha256={digest.rstrip(b'=').decode()},"
                          f"{len(data)}")
            wheel.writestr(path, data)

        _generate(generated)
        for root in (HERE, pathlib.Path(generated)):
            for path in sorted((root / "lossd").rglob("*")):
                if path.suffix == ".py" or path.name == "py.typed":
                    add(path.relative_to(root).as_posix(), path.read_bytes())
        add(f"{prefix}.dist-info/METADATA", _metadata(project).encode())
        add(f"{prefix}.dist-info/WHEEL",
            b"Wheel-Version: 1.0\nGenerator: lossd\nRoot-Is-Purelib: true\n"
            b"Tag: py3-none-any\n")
        path = f"{prefix}.dist-info/RECORD"
        wheel.writestr(path, "\n".join([*record, f"{path},,", ""]))
    return name


def build_sdist(sdist_directory, config_settings=None):
    """Refuses: the protos lie outside the package's folder."""
    raise NotImplementedError(
        "lossd has no source distribution: build the wheel from the repository")
