# SPDX-License-Identifier: MIT
"""Merge environments, and read the result."""

import pylmdb


def make(path, version, records, name=None, **options):
    """Put records into a database of a new or existing environment."""
    with pylmdb.open(path, lib_version=version) as env:
        add(env, records, name, **options)
    return path


def add(env, records, name=None, **options):
    db = env.open_db(name, **options) if name else None
    with env.begin(write=True) as txn:
        for key, value in records:
            assert txn.put(key, value, db=db)


def content(path, name=None):
    with pylmdb.open(path, readonly=True) as env, env.begin() as txn:
        return [*txn.cursor(env.open_db(name, txn, create=False))]
