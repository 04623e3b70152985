# SPDX-License-Identifier: MIT
"""Whole files at once: what ``pylmdb`` does at the command line, as functions."""

from .conversion import convert
from .merging import merge

__all__ = ["convert", "merge"]
