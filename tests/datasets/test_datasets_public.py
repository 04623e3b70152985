# SPDX-License-Identifier: MIT
"""The names of pylmdb.datasets: documented, and importable with numpy alone."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from pylmdb import datasets
from pylmdb.datasets import _signatures, formats

PASSED_ON = {*_signatures.PackOptions.__annotations__}
NAMES = [name for name in datasets.__all__ if name != "datum"]


def test_the_names_were_found():
    assert {"Dataset", "Loader", "Writer", "from_image_folder", "to_hdf5"} <= {*NAMES}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_is_documented(name):
    value = getattr(datasets, name)
    assert value.__doc__
    assert inspect.signature(value).parameters
    if inspect.isfunction(value):
        passed_on = ":param options:" in value.__doc__
        for parameter in inspect.signature(value).parameters:
            said = f":param {parameter}:" in value.__doc__ or parameter in ("path", "progress")
            assert said or (passed_on and parameter in PASSED_ON), parameter


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_parameter_has_a_name(name):
    function = getattr(datasets, name)
    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("from_")] + [
    "convert", "to_npz", "Writer", "Dataset", "Loader", "build"])  # fmt: skip
def test_the_error_of_a_misspelt_parameter_names_the_function(name, tmp_path):
    function = getattr(datasets, name)
    given = [tmp_path / "source", tmp_path / "dest"][: 1 if name in ("Writer", "Dataset") else 2]
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected.*'colour'"):
        function(*given, colour=1)
    assert os.listdir(tmp_path) == []


def test_options_have_the_defaults_of_what_they_go_to():
    for function, goes_to in (
        (datasets.from_npz, datasets.Writer),
        (datasets.from_image_list, datasets.from_images),
    ):
        takes, gives = (inspect.signature(each).parameters for each in (function, goes_to))
        for option in {*takes} & {*gives} & PASSED_ON:
            assert takes[option].default == gives[option].default, option


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
    for name, each in formats.FORMATS.items():
        for function, options in ((each.load, each.load_options), (each.save, each.save_options)):
            if function is None:
                assert options == ()
                continue
            taken = inspect.signature(function).parameters
            assert "progress" in taken
            for option in options:
                assert option.name in taken, (name, option)
