# SPDX-License-Identifier: MIT
"""The samples of a Dataset, and the batches of a Loader.  Checked for types, never run."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

from pylmdb.datasets import Dataset, Loader


def scaled(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (image / 255).astype(np.float32)


def stacked(samples: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack(samples)


images = Dataset("x", transform=scaled)
assert_type(images, Dataset[NDArray[np.float32]])
assert_type(images[0], NDArray[np.float32])
assert_type(images[:8], Dataset[NDArray[np.float32]])
assert_type(images.split(0, 2), Dataset[NDArray[np.float32]])
assert_type(list(images), list[NDArray[np.float32]])
batches = Loader(images, 4, shuffle=True, collate=stacked)
assert_type(batches, Loader[NDArray[np.float32]])
for batch in batches:
    assert_type(batch, NDArray[np.float32])

assert_type(Dataset("x"), Dataset[Any])
assert_type(Dataset(["x", "y"], "datum", "image", dtype=None), Dataset[Any])
assert_type(Loader(images, 4), Loader[Any])
pairs = Dataset("x", pairs=("image_%03d", "label_%03d"), decode=("image", "image"))
assert_type(pairs, Dataset[tuple[Any, Any]])
assert_type(Loader(pairs, 4), Loader[Any])
texts: Dataset[bytes] = Dataset("x", decode=None)
lengths = Loader(texts, 2, collate=lambda samples: sum(map(len, samples)))
assert_type(lengths, Loader[int])


def count(dataset: Dataset, loader: Loader) -> int:
    return len(dataset) + len(loader)


assert_type(
    Loader(images, 4, repeat=True, skip="random", collate=stacked), Loader[NDArray[np.float32]]
)
