# SPDX-License-Identifier: MIT
"""Data sets in LMDB files: write, import, read in batches, build in parallel."""

from __future__ import annotations

from .._base.public_names import directory
from ..tools import merge
from . import datum
from .building import build
from .dask_collections import to_dask_array, to_dask_bag
from .dataset import Dataset
from .hdf5 import from_hdf5, to_hdf5
from .image_folders import convert, to_image_folder
from .images import ImageFile, Packed, from_image_folder, from_image_list, from_images
from .loader import Loader
from .numpy_files import from_memmap, from_npz, to_memmap, to_npz
from .writer import Writer

__all__ = [
    "Dataset",
    "ImageFile",
    "Loader",
    "Packed",
    "Writer",
    "build",
    "convert",
    "datum",
    "from_hdf5",
    "from_image_folder",
    "from_image_list",
    "from_images",
    "from_memmap",
    "from_npz",
    "merge",
    "to_dask_array",
    "to_dask_bag",
    "to_hdf5",
    "to_image_folder",
    "to_memmap",
    "to_npz",
]
__dir__ = directory(__all__)
