# SPDX-License-Identifier: MIT
"""The names of pylmdb.datasets: documented, and importable with numpy alone."""

import inspect
import subprocess
import sys
import types

import numpy as np
import pytest

from pylmdb import datasets
from pylmdb.datasets import _formats

NAMES = [
    name
    for name, value in vars(datasets).items()
    if not name.startswith("_") and name != "annotations"
    and not isinstance(value, types.ModuleType)
]


def test_the_names_were_found():
    assert {"Dataset", "Loader", "Writer", "from_image_folder", "to_hdf5"} <= {*NAMES}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_is_documented(name):
    value = getattr(datasets, name)
    assert value.__doc__
    assert inspect.signature(value).parameters
    if inspect.isfunction(value):
        for parameter in inspect.signature(value).parameters.values():
            assert f":param {parameter.name}:" in value.__doc__ or parameter.name in (
                "path",
                "progress",
            )


@pytest.mark.parametrize("name", sorted(datasets.Writer.__dict__))
def test_each_method_of_a_writer_is_documented(name):
    member = vars(datasets.Writer)[name]
    if callable(getattr(member, "fget", member)) and not name.startswith("_"):
        assert member.__doc__


def test_numpy_is_all_that_the_import_needs():
    source = (
        "import sys\n"
        "for name in ('PIL', 'tqdm', 'h5py', 'google', 'torch'): sys.modules[name] = None\n"
        "import pylmdb.datasets as d\n"
        "print(*d.datum.decode(d.datum.encode(b'x', 1, True)))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", source], text=True).endswith(" 1\n")


@pytest.mark.parametrize(
    ("module", "call", "words"),
    [
        ("h5py", "d.from_hdf5('a', sys.argv[1])", "h5py"),
        ("PIL", "d.to_image_folder(sys.argv[2], sys.argv[1])", "pylmdb[datasets]"),
        ("tqdm", "d.Writer(sys.argv[1], progress=True)", "tqdm"),
    ],
)
def test_what_is_missing_is_named(tmp_path, module, call, words):
    with datasets.Writer(tmp_path / "there") as writer:
        writer.append(np.zeros((3, 3), np.uint8))
    source = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import pylmdb.datasets as d\n"
        "try:\n"
        f"    {call}\n"
        "except ImportError as problem:\n"
        "    print(problem)\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", source]
    found = subprocess.run(
        [*command, tmp_path / "new", tmp_path / "there"], text=True, capture_output=True
    )
    assert words in found.stdout
    assert found.stderr == ""


def test_the_table_of_formats():
    for name, each in _formats.FORMATS.items():
        for function, options in ((each.load, each.load_options), (each.save, each.save_options)):
            if function is None:
                assert options == ()
                continue
            taken = inspect.signature(function).parameters
            assert "progress" in taken or "options" in taken
            for option in options:
                assert option.name in taken or "options" in taken, (name, option)
