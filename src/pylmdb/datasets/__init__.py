# SPDX-License-Identifier: MIT
"""Data sets in LMDB files: written, imported, read in batches, built in parallel."""

from __future__ import annotations

from .dataset import Dataset as Dataset
from .images import ImageFile as ImageFile
from .images import Packed as Packed
from .images import from_image_folder as from_image_folder
from .images import from_image_list as from_image_list
from .images import from_images as from_images
from .loader import Loader as Loader
from .writer import Writer as Writer
