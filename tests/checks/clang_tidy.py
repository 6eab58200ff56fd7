#!/usr/bin/env python3
"""Runs clang-tidy over our source files.

    clang_tidy.py [--full]

Without --full those of the tests are left out, and the clang static analyzer's
checks, which take most of the time: the checks' matchers visit all of gRPC's
and GoogleTest's headers once a file, eight seconds of processor time with
nothing of ours in them. A file that passed is not checked again until its
preprocessed text, the checks or their configuration change: build/clang_tidy
remembers the hashes.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
STATE = ROOT / "build" / "clang_tidy"
CONFIGURATIONS = tuple(ROOT / folder / ".clang-tidy"
                       for folder in ("", "client/cli", "tests",
                                       "tests/bench"))
PRODUCT = ("client", "lib", "proto", "server")


def clang_arguments(command):
    """The compiler's arguments without what only gcc understands: its
    precompiled headers, which the sources do not rely on."""
    arguments = []
    words = iter(shlex.split(command)[1:])
    for word in words:
        if word in ("-o", "-include"):
            next(words)
        elif word not in ("-c", "-fpch-preprocess", "-Winvalid-pch"):
            arguments.append(word)
    return arguments


def compile_commands(folders):
    """Pairs of a source file in these folders and its arguments for clang."""
    subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "release", "--target",
                    "lossd_proto"], cwd=ROOT, check=True)
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    for entry in entries:
        path = pathlib.Path(entry["file"])
        if any(path.is_relative_to(ROOT / folder) for folder in folders):
            yield path, clang_arguments(entry["command"])


def check(path, arguments, options):
    """The findings in one file, empty when it passes or has passed before."""
    preprocessed = subprocess.run(
        ["clang++-14", "-E", "-C", *arguments], cwd=BUILD, capture_output=True)
    digest = hashlib.sha256(preprocessed.stdout)
    for configuration in CONFIGURATIONS:
        digest.update(configuration.read_bytes())
    digest.update(repr((arguments, options)).encode())
    stamp = STATE / digest.hexdigest()
    if preprocessed.returncode == 0 and stamp.exists():
        return ""
    result = subprocess.run(
        ["clang-tidy-14", "--quiet", *options, str(path), "--", *arguments],
        cwd=BUILD, capture_output=True, text=True)
    if result.returncode == 0:
        stamp.touch()
        return ""
    # stderr counts the warnings in headers of others; only where there are no
    # findings does it hold the reason of the failure.
    return result.stdout or result.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true",
                        help="the tests and the clang static analyzer too")
    full = parser.parse_args().full
    options = [] if full else ["--checks=-clang-analyzer-*"]
    STATE.mkdir(parents=True, exist_ok=True)
    work = list(compile_commands((*PRODUCT, "tests") if full else PRODUCT))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for findings in pool.map(lambda item: check(*item, options), work):
            if findings:
                failed += 1
                print(findings, flush=True)
    print(f"clang-tidy: {len(work)} files, {failed} with findings")
    sys.exit(1 if failed or not work else 0)


if __name__ == "__main__":
    main()
