# SPDX-License-Identifier: MIT
"""The small programs in examples/ run as users run them."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from project import ROOT

EXAMPLES = ROOT / "examples"


def run(name, *argv):
    command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("argv", [[], ["students"]])
def test_students(tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    assert run("students", *argv).splitlines() == [
        "number 3 is Mark",
        "number 1 is None",
        "0002 Bob",
        "0003 Mark",
        "0010 Emma",
        "4 students, the last is ('0011', 'Élodie')",
    ]
    assert os.listdir(tmp_path) == argv


def test_nearest_neighbours():
    first, *others, last = run("nearest_neighbours", "--count", 20_000).splitlines()
    assert re.fullmatch(r"vector-0010000 0\.9\d+", first)
    assert len(others) == 2
    assert last.startswith("20,000 vectors compared in ")


def test_nearest_neighbours_are_the_nearest():
    source = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np, pylmdb, tempfile
import nearest_neighbours as program
program.BLOCK = 37
rng = np.random.default_rng(1)
vectors = rng.standard_normal((500, 16)).astype("f4")
with tempfile.TemporaryDirectory() as folder, pylmdb.open(folder) as env:
    program.store(env, [f"{i:03d}" for i in range(500)], vectors)
    for question in rng.standard_normal((20, 16)):
        cosines = vectors @ question / np.linalg.norm(vectors, axis=1)
        expected = [f"{i:03d}" for i in np.argsort(-cosines)[:7]]
        assert [name for name, _ in program.nearest(env.snapshot(), question, 7)] == expected
    assert len(program.nearest(env.snapshot(), vectors[0], 1000)) == 500
"""
    subprocess.run([sys.executable, "-c", source, EXAMPLES], check=True)


def test_feature_cache(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for i in range(5):
        (files / f"{i}").write_bytes(bytes([i]) * 100)
    argv = (files, "--cache", tmp_path / "cache")
    assert run("feature_cache", *argv) == "5 files: 5 computed, 0 read, 0 dropped\n"
    (files / "1").write_bytes(b"changed")
    (files / "2").unlink()
    assert run("feature_cache", *argv) == "4 files: 1 computed, 3 read, 1 dropped\n"


def test_image_folder(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        for i in range(20):
            pixels = rng.integers(0, 256, (20 + i, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{i}.png")
    lines = run("image_folder", tmp_path, "--size", 16, "--batch", 36).splitlines()
    assert lines[0].startswith("packed 40 images in ")
    assert lines[1:] == [
        "36 images to train with, 4 to test",
        "a batch: (36, 3, 16, 16), labels [0, 1]",
    ]
