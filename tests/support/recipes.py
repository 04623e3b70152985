# SPDX-License-Identifier: MIT
"""Write data sets as the projects that invented the layouts do: with py-lmdb and the packages
that these projects use, without pylmdb.
"""

import io
import os
import pickle

import lmdb
import numpy as np
from PIL import Image
from protobuf_datum import Datum


def make_images(root, count=6, kinds=("png", "jpg")):
    """Make image files in the folders cat and dog; return their names, in order."""
    chance = np.random.default_rng(1)
    names = []
    for number in range(count):
        name = f"{('cat', 'dog')[number % 2]}/{number:03d}.{kinds[number % len(kinds)]}"
        os.makedirs(os.path.dirname(f"{root}/{name}"), exist_ok=True)
        pixels = chance.integers(0, 255, (8 + number, 10, 3), np.uint8)
        Image.fromarray(pixels if number % 3 else pixels[:, :, 0]).save(f"{root}/{name}")
        names.append(name)
    return sorted(names)


def png_of(pixels):
    """Return the content of a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def bgr(path, gray=False):
    """Read an image as OpenCV's imread does."""
    if gray:
        return np.array(Image.open(path).convert("L"))
    return np.array(Image.open(path).convert("RGB"))[:, :, ::-1]


def records(path):
    """Return all records, as py-lmdb reads them."""
    env = lmdb.open(path, readonly=True, subdir=os.path.isdir(path), lock=False)
    with env.begin() as txn:
        found = dict(txn.cursor())
    env.close()
    return found


def _open(path, subdir=True):
    return lmdb.open(path, map_size=1 << 26, subdir=subdir)


def convert_imageset(root, lines, path, encoded=False, gray=False):
    """Caffe: keys of eight digits and the name; pixels in BGR with the channels first."""
    env = _open(path)
    with env.begin(write=True) as txn:
        for number, (name, label) in enumerate(lines):
            message = Datum(label=label)
            if encoded:
                message.data, message.encoded = read(f"{root}/{name}"), True
            else:
                image = bgr(f"{root}/{name}", gray)
                image = image[:, :, None] if image.ndim == 2 else image
                message.height, message.width, message.channels = image.shape
                message.data = image.transpose(2, 0, 1).tobytes()
            txn.put(f"{number:08d}_{name}".encode("ascii"), message.SerializeToString())
    env.close()


def pycaffe(arrays, labels, path, width=8):
    """Tutorials of Caffe: keys of eight or ten digits, no names."""
    env = _open(path)
    with env.begin(write=True) as txn:
        for number, (array, label) in enumerate(zip(arrays, labels, strict=True)):
            message = Datum(label=int(label))
            message.channels, message.height, message.width = array.shape
            if array.dtype == np.uint8:
                message.data = array.tobytes()
            else:
                message.float_data.extend(array.astype(float).flat)
            txn.put(f"{number:0{width}}".encode("ascii"), message.SerializeToString())
    env.close()


def folder2lmdb(samples, path):
    """Efficient-PyTorch: one file, pickled pairs, and the keys."""
    env = _open(path, subdir=False)
    with env.begin(write=True) as txn:
        for number, sample in enumerate(samples):
            txn.put(f"{number}".encode("ascii"), pickle.dumps(sample))
        keys = [f"{number}".encode("ascii") for number in range(len(samples))]
        txn.put(b"__keys__", pickle.dumps(keys))
        txn.put(b"__len__", pickle.dumps(len(keys)))
    env.close()


def text_recognition(samples, path):
    """deep-text-recognition-benchmark: images and texts by numbers from 1."""
    env = _open(path)
    cache = {}
    for number, (image, text) in enumerate(samples, 1):
        cache[b"image-%09d" % number] = image
        cache[b"label-%09d" % number] = text.encode()
    cache[b"num-samples"] = str(len(samples)).encode()
    with env.begin(write=True) as txn:
        for key, value in cache.items():
            txn.put(key, value)
    env.close()


def open_catalyst(values, path):
    """OCP: one file, numbers in digits, and their count."""
    env = _open(path, subdir=False)
    with env.begin(write=True) as txn:
        for number, value in enumerate(values):
            txn.put(f"{number}".encode("ascii"), value)
        txn.put(b"length", f"{len(values)}".encode("ascii"))
    env.close()


def basicsr(root, names, path):
    """BasicSR: image files by their stems, and a text file with their sizes."""
    env = _open(path)
    with env.begin(write=True) as txn, open(f"{path}/meta_info.txt", "w") as meta:
        for name in names:
            key = os.path.splitext(name)[0]
            txn.put(key.encode("ascii"), read(f"{root}/{name}"))
            shape = (*np.array(Image.open(f"{root}/{name}")).shape, 1)[:3]
            meta.write("{}.png ({},{},{}) 1\n".format(key, *shape))
    env.close()


def mmsr(root, names, path):
    """mmsr: the bytes of the pixels, and a pickle with the sizes."""
    env = _open(path)
    keys, sizes = [], []
    with env.begin(write=True) as txn:
        for name in names:
            keys.append(os.path.splitext(name)[0])
            image = bgr(f"{root}/{name}")
            sizes.append("{2}_{0}_{1}".format(*image.shape))
            txn.put(keys[-1].encode("ascii"), np.ascontiguousarray(image))
    meta = {"name": os.path.splitext(os.path.basename(path))[0], "keys": keys}
    meta["resolution"] = sizes[:1] if len(set(sizes)) == 1 else sizes
    with open(f"{path}/meta_info.pkl", "wb") as file:
        pickle.dump(meta, file)
    env.close()


def one_record_per_file(root, names, path):
    """mmcv, mmengine: the path is the key, the file the value."""
    env = _open(path)
    with env.begin(write=True) as txn:
        for name in names:
            txn.put(name.encode("ascii"), read(f"{root}/{name}"))
    env.close()
