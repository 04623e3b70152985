# SPDX-License-Identifier: MIT
"""Images of PIL that decoders make from views of the memory map, and transforms of them."""

import gc
import io
import pickle

import numpy as np
import pytest
import recipes
from PIL import Image, ImageOps

import pylmdb
from pylmdb.datasets import Dataset, Loader

COUNT, SIZE = 12, (6, 8)
PIXELS = np.random.default_rng(4).integers(0, 256, (COUNT, *SIZE, 3), np.uint8)


def opened(view):
    """Open an image file, which PIL reads when the image is used."""
    return Image.open(io.BytesIO(view))


def shared(view):
    """Make an image of raw pixels that shares the memory map."""
    return Image.frombuffer("RGB", (SIZE[1], SIZE[0]), view)


def flipped(image):
    return ImageOps.mirror(image.convert("RGB"))


@pytest.fixture(params=[opened, shared], ids=["file", "pixels"])
def images(request, open_env, env_path):
    """Return the path of the images, and the function that decodes one."""
    with open_env() as env, env.begin(write=True) as txn:
        for number, pixels in enumerate(PIXELS):
            value = recipes.png_of(pixels) if request.param is opened else pixels.tobytes()
            txn.put(b"%03d" % number, value)
    return env_path, request.param


def test_transforms_of_images(images):
    path, decode = images
    dataset = Dataset(path, decode=decode, transform=flipped)
    for number, image in enumerate(dataset):
        assert np.array_equal(np.asarray(image), PIXELS[number, :, ::-1])
    again = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(np.asarray(again[3]), PIXELS[3, :, ::-1])


def test_an_image_outlives_its_record(images):
    """Images that were not read yet, and images that share the map, keep their view valid."""
    path, decode = images
    dataset = Dataset(path, decode=decode)
    kept = dataset[[*range(COUNT)]]
    dataset.close()
    del dataset
    gc.collect()
    with pylmdb.open(path) as env:
        for _ in range(3):
            with env.begin(write=True) as txn:
                for number in range(COUNT):
                    txn.put(b"%03d" % number, bytes(SIZE[0] * SIZE[1] * 3))
    for number, image in enumerate(kept):
        assert np.array_equal(np.asarray(image), PIXELS[number])


def test_an_image_that_shares_the_map_can_be_drawn_on(images):
    """PIL copies an image that is read-only before it changes it."""
    path, decode = images
    dataset = Dataset(path, decode=decode)
    image = dataset[0]
    image.paste((1, 2, 3), (0, 0, 2, 2))
    assert np.asarray(image)[0, 0].tolist() == [1, 2, 3]
    assert np.array_equal(np.asarray(dataset[0]), PIXELS[0])


def test_threads_of_a_loader_transform_images(images):
    path, decode = images
    dataset = Dataset(path, decode=decode, transform=lambda image: np.asarray(flipped(image)))
    batches = [*Loader(dataset, 5, threads=3)]
    assert [batch.shape for batch in batches] == [(5, *SIZE, 3), (5, *SIZE, 3), (2, *SIZE, 3)]
    assert np.array_equal(np.concatenate(batches), PIXELS[:, :, ::-1])


def test_transforms_of_torchvision(images):
    transforms = pytest.importorskip("torchvision.transforms", exc_type=ImportError)
    path, decode = images
    steps = [transforms.RandomHorizontalFlip(1.0), transforms.PILToTensor()]
    dataset = Dataset(path, decode=decode, transform=transforms.Compose(steps))
    for number, tensor in enumerate(dataset):
        assert np.array_equal(tensor.numpy(), PIXELS[number, :, ::-1].transpose(2, 0, 1))
    batches = [*Loader(dataset, 5, collate=lambda samples: sum(each.sum() for each in samples))]
    assert sum(int(batch) for batch in batches) == PIXELS.sum()
