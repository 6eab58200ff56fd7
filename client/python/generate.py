#!/usr/bin/env python3
"""Makes the parts of the package that follow from proto/lossd/v1:

    generate.py FOLDER

FOLDER/lossd/v1      the messages
FOLDER/lossd/_methods.py   a method for each loss, with its keywords, their
                           defaults, types and documentation

Needs protoc (Debian's protobuf-compiler) and protobuf for Python.
"""

import keyword
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"

HEADER = '''\
"""A method for each loss. Generated from proto/lossd/v1."""

from __future__ import annotations

from typing import Literal

from lossd.arrays import ArrayLike
from lossd.declared import ReductionName, SemanticsName, loss_method
from lossd.results import LossAndGradient
'''

# What every loss accepts besides its options. Meaning and range: LossItem.
COMMON = [
    ("sample_weights", "ArrayLike | None"),
    ("mask", "ArrayLike | None"),
    ("reduction", "ReductionName | None"),
    ("normalizer", "float | None"),
    ("upstream_gradient", "ArrayLike | None"),
    ("semantics", "SemanticsName | None"),
]

TYPES = {"double": "float", "int64": "int", "bool": "bool"}


def make_messages(folder):
    """Runs protoc; returns the module of loss_info and that of losses."""
    if not shutil.which("protoc"):
        sys.exit("lossd: protoc is missing: install the Debian package "
                 "protobuf-compiler")
    protos = sorted(str(path) for path in (PROTO / "lossd/v1").glob("*.proto"))
    subprocess.run(["protoc", f"--proto_path={PROTO}", f"--python_out={folder}",
                    f"--descriptor_set_out={folder}/set.pb",
                    "--include_source_info", *protos], check=True)
    (folder / "lossd/v1/__init__.py").write_text(
        '"""Messages of the API, generated from proto/lossd/v1."""\n')
    # Instead of the folder of this script, where the package lies without them.
    sys.path[0] = str(folder)
    try:
        from lossd.v1 import loss_info_pb2, losses_pb2
    except ImportError as error:
        sys.exit(f"lossd: {error}: install the Debian package python3-protobuf")
    return loss_info_pb2, losses_pb2


def comments_of(folder, message):
    """The comments of a message's fields in the .proto, by field name."""
    from google.protobuf import descriptor_pb2
    files = descriptor_pb2.FileDescriptorSet.FromString(
        (folder / "set.pb").read_bytes())
    for file in files.file:
        for index, candidate in enumerate(file.message_type):
            if f"{file.package}.{candidate.name}" != message.full_name:
                continue
            return {candidate.field[location.path[3]].name:
                    spoken(" ".join(location.leading_comments.split()))
                    for location in file.source_code_info.location
                    if len(location.path) == 4 and
                    tuple(location.path[:3]) == (4, index, 2)}
    raise LookupError(message.full_name)


def keyword_of(field, option):
    """Type and default of an option's keyword, as source text."""
    if field.enum_type:
        names = ", ".join(f'"{name}"' for name in option.allowed_values)
        kind, default = f"Literal[{names}]", f'"{option.default_value}"'
    else:
        kind = TYPES[{field.TYPE_DOUBLE: "double", field.TYPE_INT64: "int64",
                      field.TYPE_BOOL: "bool"}[field.type]]
        default = option.default_value
        if kind == "bool":
            default = default.capitalize()
        if kind == "float" and default:
            default = repr(float(default))
    return (kind, default) if option.default_value else (f"{kind} | None",
                                                         "None")


def paragraph(text, indent=8):
    return textwrap.fill(text, 79, initial_indent=" " * indent,
                         subsequent_indent=" " * indent)


def entry(name, text):
    return textwrap.fill(f"{name}: {text}", 79, initial_indent=" " * 12,
                         subsequent_indent=" " * 16)


def spoken(comment):
    """A comment with enums as Python callers write them: MEAN, bool."""
    comment = comment.replace("DTYPE_BOOL", "bool")
    return re.sub(r"\b(REDUCTION|SEMANTICS|SCOPE)_(?=[A-Z])", "", comment)


def sentence(text):
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def targets_of(info):
    """What the loss says of its targets; None if it has none."""
    return next((i for i in info.inputs if i.name == "targets"), None)


def docstring(info, options, keywords, comments, common_comments):
    targets = targets_of(info)
    lines = [f'        """{info.summary}', ""]
    lines += [paragraph(sentence(info.formula)), ""]
    lines += [paragraph(f"Use it when {info.use_when}."), ""]
    lines += [paragraph(f"Not when {info.avoid_when}."), "", "        Args:"]
    lines.append(entry("predictions", common_comments["predictions"]))
    types = (f" Types: {targets.dtypes}; other integers and half types are "
             "widened." if targets else "")
    lines.append(entry("targets", sentence(info.target_encoding) + types))
    extras = {i.name: i for i in info.inputs if i.name != "targets"}
    for name in keywords:
        parts = []
        if name in options:
            parts.append(comments[name])
        if name in extras:
            extra = extras[name]
            parts.append(f"{'Or an array' if parts else 'An array'} "
                         f"{extra.shape}: {extra.summary}.")
        lines.append(entry(name, " ".join(parts)))
    for name, _ in COMMON:
        lines.append(entry(name, common_comments[name]))
    lines.append(entry("timeout", "Seconds the call may take, retries "
                       "included. Unset: the client's."))
    lines += ["", "        Returns:", textwrap.fill(
        "The loss, or with reduction NONE the losses of the rows, and the "
        "gradient with respect to the predictions, in arrays of the "
        "predictions' kind.", 79, initial_indent=" " * 12,
        subsequent_indent=" " * 12)]
    lines += ["", "        Raises:", textwrap.fill(
        "LossdError: InvalidArgument with the violations if the server "
        "refuses the input; see lossd.errors for the others.", 79,
        initial_indent=" " * 12, subsequent_indent=" " * 16)]
    lines += ["", "        Example:", paragraph(sentence(info.example), 12),
              '        """']
    return "\n".join(lines)


def method(info, message, loss_info, comments, common_comments, is_async):
    options = {field.name: field for field in message.fields}
    extras = [i.name for i in info.inputs if i.name != "targets"]
    keywords = {}
    for name, field in options.items():
        kind, default = keyword_of(
            field, field.GetOptions().Extensions[loss_info.option])
        if name in extras:
            kind += " | ArrayLike"
        keywords[name] = (kind, default)
    for name in extras:
        keywords.setdefault(name, ("ArrayLike | None", "None"))
    parameters = [f"{name}: {kind} = {default}"
                  for name, (kind, default) in keywords.items()]
    parameters += [f"{name}: {kind} = None" for name, kind in COMMON]
    parameters.append("timeout: float | None = None")
    required = any(i.required for i in info.inputs if i.name == "targets")
    prefix = "async " if is_async else ""
    lines = ["    @loss_method", f"    {prefix}def {info.name}(",
             "        self,", "        predictions: ArrayLike,",
             "        targets: ArrayLike," if required else
             "        targets: ArrayLike | None = None,", "        *,",
             *(f"        {parameter}," for parameter in parameters),
             "    ) -> LossAndGradient:",
             docstring(info, options, list(keywords), comments,
                       common_comments), ""]
    # `is` is none that Python could call.
    lines += [f"    {alias} = {info.name}" for alias in info.aliases
              if not keyword.iskeyword(alias)]
    return "\n".join(lines) + "\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    loss_info, losses = make_messages(folder)
    from lossd.v1 import loss_service_pb2
    common_comments = comments_of(folder,
                                  loss_service_pb2.LossItem.DESCRIPTOR)
    text = HEADER
    for name, is_async in (("LossMethods", False), ("AsyncLossMethods", True)):
        text += f'\n\nclass {name}:\n    """The losses by their names."""\n'
        for field in losses.Loss.DESCRIPTOR.oneofs_by_name["kind"].fields:
            message = field.message_type
            info = message.GetOptions().Extensions[loss_info.loss]
            if not info.name:
                continue
            text += "\n" + method(info, message, loss_info,
                                  comments_of(folder, message),
                                  common_comments, is_async)
    (folder / "lossd/_methods.py").write_text(text, "utf-8")
    (folder / "set.pb").unlink()


if __name__ == "__main__":
    main()
