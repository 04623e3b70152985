# SPDX-License-Identifier: MIT
"""Pack a folder of images and read it in batches for training.

    python examples/image_folder.py FOLDER [--size 64] [--batch 32]

FOLDER has a folder of images for each class.  The program packs the images and their labels into
one LMDB file.  Then it reads batches: with PyTorch's DataLoader and worker processes if torch is
installed, otherwise with pylmdb's Loader and threads.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pylmdb import datasets


def pack(folder: Path, path: Path, size: int) -> int:
    """Pack pixels and labels as Datum messages, and return how many."""
    packed = datasets.from_image_folder(
        folder, path, layout="datum", decode=True, resize=(size, size), mode="RGB", axes="CHW"
    )
    return packed.samples


def batches(dataset: datasets.Dataset, size: int) -> Iterable[Any]:
    """Yield pairs of images, of shape (size, 3, height, width), and labels, in random order."""
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        return datasets.Loader(dataset, size, shuffle=True, threads=2)
    return DataLoader(dataset, size, shuffle=True, num_workers=2)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "images.lmdb")
        begin = time.perf_counter()
        count = pack(args.folder, path, args.size)
        print(f"packed {count:,} images in {time.perf_counter() - begin:.2f} s")
        with datasets.Dataset(path) as dataset:
            train, test = dataset.random_split([0.9, 0.1], seed=0)
            print(f"{len(train):,} images to train with, {len(test):,} to test")
            for images, labels in batches(train, args.batch):
                print(f"a batch: {tuple(images.shape)}, labels {sorted(set(labels.tolist()))}")
                break  # here a model would be trained


if __name__ == "__main__":
    main()
