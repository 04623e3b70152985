# SPDX-License-Identifier: MIT
"""Packing of data sets: pylmdb, copying the files, the usual recipe, and protobuf.

The files are JPEG images in 100 folders, in the page cache.  Each contender writes to the same
disk.  Before the next one begins, its result is removed, and all writes are waited for.  In one
process, alternately; the best of several rounds of each counts.  A figure is microseconds per image
or message; the ratio is how many times as long the other one takes.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from measure import Job, best
from PIL import Image

from pylmdb import datasets
from pylmdb.datasets import datum

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from protobuf_datum import Datum

MESSAGES = 2_000


def make_files(root: Path, count: int, side: int) -> None:
    """Images of noise, of which one pixel in 64 is random: they compress as photographs do."""
    chance = np.random.default_rng(1)
    contents = []
    for _ in range(20):
        noise = chance.integers(0, 255, (side // 8, side // 8, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(noise).resize((side, side)).save(out, "JPEG", quality=90)
        contents.append(out.getvalue())
    for number in range(count):
        folder = root / f"{number % 100:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % 20] + os.urandom(8))


def recipe(root: Path, path: Path) -> None:
    """What projects do with py-lmdb: a transaction for so many files."""
    env = lmdb.open(str(path), map_size=1 << 40)
    txn = env.begin(write=True)
    for number, name in enumerate(sorted(root.rglob("*.jpg"))):
        with open(name, "rb") as file:
            txn.put(name.relative_to(root).as_posix().encode("ascii"), file.read())
        if number % 1000 == 999:
            txn.commit()
            txn = env.begin(write=True)
    txn.commit()
    env.close()


def packing(root: Path, count: int) -> list[tuple[str, float | None, int, dict[str, Any]]]:
    """Title, least ratio, operations, contenders: ours first."""
    out = root / "out"

    def job(run: Callable[[], Any], operations: int = count) -> Job:
        def clear() -> None:
            shutil.rmtree(out, ignore_errors=True)
            os.sync()

        return Job(operations, run, clear)

    files = root / "files"
    pack = job(lambda: datasets.from_image_folder(files, out))
    names = sorted(path.relative_to(files).as_posix() for path in files.rglob("*.jpg"))
    some = [datasets.ImageFile(str(files / name), name) for name in names[: count // 20]]
    pixels = {"decode": True, "layout": "datum", "resize": (64, 64)}
    return [
        ("pack files / shutil.copytree", 1 / 1.2, count, {
            "pylmdb": pack, "shutil": job(lambda: shutil.copytree(files, out)),
        }),
        ("pack files / a loop of py-lmdb puts", None, count, {
            "pylmdb": pack, "py-lmdb": job(lambda: recipe(files, out)),
        }),
        ("pack pixels, two threads / one", None, len(some), {
            "two": job(lambda: datasets.from_images(some, out, threads=2, **pixels), len(some)),
            "one": job(lambda: datasets.from_images(some, out, threads=1, **pixels), len(some)),
        }),
        ("pack files, sync=False / synced", None, count, {
            "unsynced": job(lambda: datasets.from_image_folder(files, out, sync=False)),
            "synced": pack,
        }),
    ]  # fmt: skip


def messages() -> list[tuple[str, float | None, int, dict[str, Any]]]:
    image = np.random.default_rng(1).integers(0, 255, (3, 256, 256), np.uint8)
    floats = image[:, :32, :32].astype(np.float32)
    value, float_value = datum.encode(image, 3), datum.encode(floats, 3)

    def encode_theirs() -> bytes:
        message = Datum(channels=3, height=256, width=256, data=image.tobytes(), label=3)
        found: bytes = message.SerializeToString()
        return found

    def decode_theirs(content: bytes) -> Any:
        message = Datum.FromString(content)
        data = message.data
        flat = np.frombuffer(data, np.uint8) if data else np.array(message.float_data, np.float32)
        return flat.reshape(message.channels, message.height, message.width), message.label

    def times(run: Callable[[], Any]) -> Job:
        def all_of_them() -> None:
            for _ in range(MESSAGES):
                run()

        return Job(MESSAGES, all_of_them)

    return [
        ("encode a Datum of 192 KB / protobuf", None, MESSAGES, {
            "pylmdb": times(lambda: datum.encode(image, 3)), "protobuf": times(encode_theirs),
        }),
        ("decode a Datum of 192 KB / protobuf", None, MESSAGES, {
            "pylmdb": times(lambda: datum.decode(value)),
            "protobuf": times(lambda: decode_theirs(value)),
        }),
        ("decode a Datum of 3,072 floats / protobuf", None, MESSAGES, {
            "pylmdb": times(lambda: datum.decode(float_value)),
            "protobuf": times(lambda: decode_theirs(float_value)),
        }),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=20_000, help="how many files")
    parser.add_argument("--side", type=int, default=512, help="their height and width")
    parser.add_argument("--quick", action="store_true", help="less data: does it run")
    parser.add_argument("--case", help="only those whose title contains this")
    parser.add_argument("--dir", help="a folder on the disk to write to")
    given = parser.parse_args()
    count, side, rounds = (300, 64, 1) if given.quick else (given.count, given.side, given.rounds)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        make_files(Path(folder, "files"), count, side)
        print(f"{'case':44} {'ours':>10} {'other':>10} {'ratio':>7} {'at least':>9}")
        for title, least, _, contenders in [*packing(Path(folder), count), *messages()]:
            if given.case and given.case not in title:
                continue
            ours, other = (each / 1e3 for each in best(contenders, rounds).values())
            wanted = "" if least is None else f"{least:.2f}"
            print(f"{title:44} {ours:10.2f} {other:10.2f} {other / ours:7.2f} {wanted:>9}")


if __name__ == "__main__":
    main()
