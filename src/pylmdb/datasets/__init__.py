# SPDX-License-Identifier: MIT
"""Data sets in LMDB files: write, import, read in batches, build in parallel."""

from __future__ import annotations

from ..tools import merge as merge
from . import datum as datum
from .building import build as build
from .dask_collections import to_dask_array as to_dask_array
from .dask_collections import to_dask_bag as to_dask_bag
from .dataset import Dataset as Dataset
from .hdf5 import from_hdf5 as from_hdf5
from .hdf5 import to_hdf5 as to_hdf5
from .image_folders import convert as convert
from .image_folders import to_image_folder as to_image_folder
from .images import ImageFile as ImageFile
from .images import Packed as Packed
from .images import from_image_folder as from_image_folder
from .images import from_image_list as from_image_list
from .images import from_images as from_images
from .loader import Loader as Loader
from .numpy_files import from_memmap as from_memmap
from .numpy_files import from_npz as from_npz
from .numpy_files import to_memmap as to_memmap
from .numpy_files import to_npz as to_npz
from .writer import Writer as Writer
