"""Stubs of lossd's RPCs for Python."""

import subprocess
import sys


def make_stubs(proto_folder, stub_folder):
    """Makes them, so that lossd.v1 can be imported."""
    stub_folder.mkdir(parents=True, exist_ok=True)
    plugin = subprocess.run(["which", "grpc_python_plugin"], check=True,
                            capture_output=True, text=True).stdout.strip()
    protos = sorted(proto_folder.glob("lossd/v1/*.proto"))
    subprocess.run(["protoc", f"--proto_path={proto_folder}",
                    f"--plugin=protoc-gen-grpc_python={plugin}",
                    f"--python_out={stub_folder}",
                    f"--grpc_python_out={stub_folder}", *map(str, protos)],
                   check=True)
    sys.path.insert(0, str(stub_folder))
