#!/usr/bin/env python3
"""Checks that includes follow the layers of ARCHITECTURE.md.

    layering.py [ROOT]    the tree to check, by default the repository

Debian's headers all lie in /usr/include, so a target that does not link gRPC
can include it all the same: the build cannot notice, this check does. Prints
every include that is not allowed and exits with 1 if there is one.
"""

import pathlib
import re
import sys

STANDARD = r"<[a-z_0-9]+>"
POSIX = r"<([a-z]+|(arpa|net|netinet|sys)/[a-z_]+)\.h>"
MESSAGES = r'"lossd/v1/.*"|["<]google/protobuf/.*[">]'
GRPC = r'["<]grpc(pp)?/.*[">]'
JSON = r'["<]nlohmann/json(_fwd)?\.hpp[">]'

# What the files of a folder, or one file, may include: the longest prefix of
# the file's path decides.
ALLOWED = {
    "proto/arena/": [STANDARD, POSIX, r'"proto/arena/.*"'],
    "proto/lossd/": [MESSAGES],
    "proto/wire/": [STANDARD, MESSAGES, GRPC, r'"proto/wire/.*"'],
    # The control register of denormals has no name in the standard library.
    "lib/": [STANDARD, r'"absl/(status|strings)/.*"', r'"hwy/.*"', r'"lib/.*"',
             r"<xmmintrin\.h>"],
    "lib/core/parallel_for.cc": [STANDARD, r'"lib/core/.*"', r"<omp\.h>"],
    "client/": [STANDARD, MESSAGES, GRPC, r'"absl/.*"', r'"proto/wire/.*"',
                r'"client/(arena/)?[^/]*"'],
    "client/arena/": [STANDARD, POSIX, MESSAGES, r'"absl/.*"',
                      r'"proto/arena/.*"', r'"client/(arena/)?[^/]*"'],
    "client/cli/": [STANDARD, POSIX, MESSAGES, JSON, r'"absl/.*"',
                    r'["<]CLI/.*[">]', r'"client/([^/]*|cli/.*)"'],
    # `lossctl bench --check` compares with the library itself.
    "client/cli/bench_expected.cc": [STANDARD, r'"absl/(status|strings)/.*"',
                                     r'"client/cli/.*"',
                                     r'"lib/(compute|core/numerics)\.h"'],
    "client/examples/": [STANDARD, MESSAGES, r'"absl/.*"', r'"client/[^/]*"'],
    "server/": [STANDARD, POSIX, MESSAGES, GRPC, r'"absl/.*"',
                r'["<]CLI/.*[">]', r'["<]prometheus/.*[">]',
                r'["<]civetweb\.h[">]', r'"proto/(arena|wire)/.*"',
                r'"lib/.*"', r'"server/.*"'],
    "server/auth/": [STANDARD, POSIX, GRPC, r'"absl/.*"', r"<openssl/.*>",
                     r'"proto/arena/.*"', r'"lib/.*"', r'"server/.*"'],
    "server/main.cc": [STANDARD, POSIX, GRPC, r"<systemd/sd-daemon\.h>",
                       r'"absl/.*"', r'"server/.*"'],
    "server/logging.cc": [STANDARD, r'["<]spdlog/.*[">]', r'"absl/.*"',
                          r'"server/.*"'],
    "server/logging.h": [STANDARD, r'["<]spdlog/.*[">]'],
    "tests/": [r".*"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(<[^>]*>|"[^"]*")')
IMPORT = re.compile(r'^\s*import\s+(?:public\s+)?("[^"]*")')
OPENMP = re.compile(r"^\s*#\s*pragma\s+omp\b")
OPENMP_FILE = "lib/core/parallel_for.cc"
# Loops that lossd is measured against.
OPENMP_PEERS = "tests/bench/peers.cc"


def sources(root):
    for folder in sorted({name.split("/")[0] for name in ALLOWED}):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".h", ".cc", ".proto"):
                yield path


def violations(name, text):
    prefix = max((p for p in ALLOWED if name.startswith(p)), key=len,
                 default=None)
    if prefix is None:
        yield 1, "lies in a folder that has no rule in layering.py"
        return
    allowed = re.compile("|".join(ALLOWED[prefix]))
    pattern = IMPORT if name.endswith(".proto") else INCLUDE
    for number, line in enumerate(text.splitlines(), 1):
        match = pattern.match(line)
        if match and not allowed.fullmatch(match.group(1)):
            yield number, f"{prefix} may not include {match.group(1)}"
        if OPENMP.match(line) and name not in (OPENMP_FILE, OPENMP_PEERS):
            yield number, f"OpenMP is used in {OPENMP_FILE} alone"


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    files = found = 0
    for path in sources(root):
        files += 1
        name = path.relative_to(root).as_posix()
        for number, message in violations(name, path.read_text("utf-8")):
            found += 1
            print(f"{name}:{number}: {message}")
    print(f"layering: {files} files, {found} violations")
    # A check that finds nothing to check has not checked.
    sys.exit(1 if found or not files else 0)


if __name__ == "__main__":
    main()
