# SPDX-License-Identifier: MIT
"""Data sets in LMDB files: written, imported, read in batches, built in parallel."""

from __future__ import annotations

from .dataset import Dataset as Dataset
from .loader import Loader as Loader
