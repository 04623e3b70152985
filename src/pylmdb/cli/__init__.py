# SPDX-License-Identifier: MIT
"""The command line: ``pylmdb`` and ``python -m pylmdb``."""
