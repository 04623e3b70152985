# SPDX-License-Identifier: MIT
"""Whole files at once: what ``pylmdb`` does at the command line, as functions."""

from .conversion import convert
from .dumping import dump
from .loading import load
from .merging import merge
from .verification import verify

__all__ = ["convert", "dump", "load", "merge", "verify"]
