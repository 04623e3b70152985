# SPDX-License-Identifier: MIT
"""Define Caffe's Datum message in the protobuf runtime, without Caffe and without protoc."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELDS = [
    # name, number, type, repeated
    ("channels", 1, "INT32", False),
    ("height", 2, "INT32", False),
    ("width", 3, "INT32", False),
    ("data", 4, "BYTES", False),
    ("label", 5, "INT32", False),
    ("float_data", 6, "FLOAT", True),
    ("encoded", 7, "BOOL", False),
]


def _file(name, packed, more):
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=name, syntax="proto2")
    message = file.message_type.add(name="Datum")
    kinds = descriptor_pb2.FieldDescriptorProto
    for field_name, number, kind, repeated in [*_FIELDS, *more]:
        field = message.field.add(
            name=field_name,
            number=number,
            type=getattr(kinds, f"TYPE_{kind}"),
            label=kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL,
        )
        if repeated and kind != "STRING":
            field.options.packed = packed
    return file


def message_class(name, packed=False, more=()):
    """The class of the messages.

    :param packed: True for a definition that packs its floats.
    :param more: further fields, which Caffe's definition has not.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(name, packed, more))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{name}.Datum"))


Datum = message_class("caffe")
PackedDatum = message_class("packed", packed=True)
LargerDatum = message_class(
    "larger",
    more=[
        ("a", 8, "STRING", True),
        ("b", 100, "FIXED64", False),
        ("c", 2**29 - 1, "FIXED32", False),
        ("d", 15, "UINT64", False),
    ],
)
