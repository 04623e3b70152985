# SPDX-License-Identifier: MIT
"""Helpers that everything else uses: buffers, flags, threads, files."""
