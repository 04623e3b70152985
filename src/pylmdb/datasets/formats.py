# SPDX-License-Identifier: MIT
"""The table of formats that data sets are imported from and exported to.

The commands ``pylmdb import`` and ``pylmdb export`` are made from it.  Each function is called as
``function(source, dest, progress=, **options)``.  It returns the number of samples, or a tuple that
begins with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import hdf5, image_folders, images, numpy_files
from .layouts import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable


class Option(NamedTuple):
    """An option of a format.

    :ivar name: the keyword of the function; ``check_size`` is ``--check-size`` in a command.
    :ivar kind: ``str``, ``int``, ``bool`` (a switch), or ``"size"``: ``HEIGHTxWIDTH``, a tuple.
    :ivar choices: the values that are accepted; empty for any.
    """

    name: str
    kind: type | str
    help: str
    choices: tuple[str, ...] = ()


class Format(NamedTuple):
    """A format.

    :ivar load: the function that imports; None if it cannot be imported.
    :ivar save: the function that exports; None if it cannot be exported.
    """

    description: str
    load: Callable[..., Any] | None
    load_options: tuple[Option, ...]
    save: Callable[..., Any] | None
    save_options: tuple[Option, ...]


_EXIST = Option("exist", str, "what to do if the data set exists", ("error", "extend", "replace"))
_LAYOUT = Option("layout", str, "how samples are stored", WRITTEN)
_KEY_FORMAT = Option("key_format", str, "the format that makes keys of numbers, such as %%010d")
_COMMIT_EVERY = Option("commit_every", int, "how many samples each commit has")
_PAGE_SIZE = Option("page_size", int, "the page size of a new file in bytes: a power of two")
_CHECKSUMS = Option("checksums", bool, "give the pages of a new file checksums (LMDB 1.0)")
_WRITER = (_LAYOUT, _KEY_FORMAT, _EXIST, _COMMIT_EVERY, _PAGE_SIZE, _CHECKSUMS)
_IMAGES = (
    *_WRITER,
    Option("keys", str, "what the keys are made of", ("name", "stem", "number")),
    Option("decode", bool, "store pixels instead of files"),
    Option("mode", str, "the channels of pixels", ("RGB", "BGR", "L")),
    Option("axes", str, "the order of the axes of pixels", ("HWC", "CHW")),
    Option("resize", "size", "the size to resize to, as HEIGHTxWIDTH"),
    Option("check_size", bool, "refuse images of another size than the first"),
    Option("shuffle", bool, "store samples in random order"),
    Option("seed", int, "the seed of the random order"),
    Option("errors", str, "what to do about files that are not images", ("raise", "skip")),
    Option("resume", bool, "continue a data set that a killed run has left"),
    Option("threads", int, "how many threads prefetch files"),
)
_OVERWRITE = Option("overwrite", bool, "replace a file that exists")
_MAX_SAMPLE = Option("max_sample", int, "the most bytes that a sample may have")
_ROWS = (
    Option("data", str, "the name of an array whose rows are the samples"),
    Option("labels", str, "the name of an array with their labels"),
)

FORMATS: dict[str, Format] = {
    "images": Format(
        "a folder of image files",
        images.from_image_folder,
        (Option("labels", str, "where labels come from", ("auto", "folders")), *_IMAGES),
        image_folders.to_image_folder,
        (
            Option("names", str, "what names the files", ("key", "number")),
            Option("mode", str, "the channels of arrays", ("RGB", "BGR")),
            Option("axes", str, "the order of the axes of arrays", ("HWC", "CHW")),
        ),
    ),
    "imagelist": Format(
        "a text file with a path and a label per line, as Caffe's convert_imageset takes it",
        images.from_image_list,
        (
            Option("root", str, "the folder to which paths are relative"),
            Option("labels", str, "what labels are", ("auto", "images")),
            Option("labels_path", str, "with --labels images, the data set of them to write"),
            *_IMAGES,
        ),
        None,
        (),
    ),
    "hdf5": Format(
        "an HDF5 file",
        hdf5.from_hdf5,
        (*_ROWS, _MAX_SAMPLE, *_WRITER),
        hdf5.to_hdf5,
        (*_ROWS, _OVERWRITE),
    ),
    "npz": Format(
        "an .npz archive",
        numpy_files.from_npz,
        (*_ROWS, _MAX_SAMPLE, *_WRITER),
        numpy_files.to_npz,
        (*_ROWS, Option("compress", bool, "compress the archive"), _OVERWRITE),
    ),
    "memmap": Format(
        "the rows of an array in a .npy file",
        numpy_files.from_memmap,
        (
            Option("labels", str, "a .npy file with labels"),
            Option("dtype", str, "the dtype of the elements, for a file without a header"),
            *_WRITER,
        ),
        numpy_files.to_memmap,
        (Option("labels", str, "a .npy file for the labels"), _OVERWRITE),
    ),
    "lmdb": Format(
        "an LMDB data set in any of the layouts in use",
        image_folders.convert,
        _WRITER,
        image_folders.convert,
        _WRITER,
    ),
}
