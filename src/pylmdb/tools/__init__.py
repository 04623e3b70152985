# SPDX-License-Identifier: MIT
"""Whole files at once: what ``pylmdb`` does at the command line, as functions."""
