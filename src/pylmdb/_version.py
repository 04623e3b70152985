# SPDX-License-Identifier: MIT
"""The one place that names pylmdb's version; setup.py compiles it into each extension."""

__version__ = "0.1.0"
