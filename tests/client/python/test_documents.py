"""The code in the README and the examples runs, and does what it says."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest


@pytest.fixture
def environment(server):
    return {**os.environ, "LOSSD_SERVER": server.target}


def test_the_code_of_the_readme(repository, server, capsys, monkeypatch):
    monkeypatch.setenv("LOSSD_SERVER", server.target)
    text = (repository / "client/python/README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(blocks) >= 6
    scope = {}
    for block in blocks:
        code = block.replace("localhost:50051", server.target)
        exec(compile(code, "README.md", "exec"), scope)
    printed = capsys.readouterr().out
    # What the comments promise.
    for promise in ("0.4375\n", "[ 0.125 -0.25   0.125  0.   ]",
                    "predictions.data 1 nan finite numbers", "[1.0, 0.0, 1.0]",
                    "12000000\n",
                    "-1.0 failed: loss.huber.delta"):
        assert promise in printed
    assert scope["loss"].item() < 0.3


def test_train_digits(repository, environment):
    run = subprocess.run(
        [sys.executable, repository / "client/python/examples/train_digits.py"],
        env=environment, check=True, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    assert len(lines) == 10
    # Guessing hits a tenth; what ten epochs reach varies with the machine.
    assert float(lines[-1].rpartition(" ")[2]) > 0.8


def test_outliers(repository, environment, tmp_path):
    picture = tmp_path / "outliers.svg"
    run = subprocess.run(
        [sys.executable, repository / "client/python/examples/outliers.py",
         picture], env=environment, check=True, capture_output=True, text=True)
    distance = {line.split()[0]: float(line.split()[-1])
                for line in run.stdout.splitlines()}
    assert distance["mean_squared_error"] > 3 * distance["huber"]
    assert distance["mean_absolute_error"] < 0.2
    assert distance["huber"] < 0.2
    assert xml.etree.ElementTree.parse(picture).getroot().tag.endswith("svg")
