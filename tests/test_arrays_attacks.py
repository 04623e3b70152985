# SPDX-License-Identifier: MIT
"""What arrays and reservations withstand: odd arrays, garbage, forks, and files that change."""

import threading

import numpy as np
import pytest
from programs import join

import pylmdb


@pytest.fixture
def env(open_env):
    """A fresh environment that does not wait for the disk."""
    return open_env(max_dbs=8, sync=False)


# -- writes ----------------------------------------------------------------------------------


def test_strides_and_a_handle_that_is_newer(open_env, env):
    with env.begin(write=True) as txn:
        env.open_db(b"named", txn)
    env.close()
    env = open_env(max_dbs=8)
    with env.begin(write=True) as txn:
        found = []
        opener = threading.Thread(target=lambda: found.append(env.open_db(b"named")))
        opener.start()
        join(opener)
        assert txn.put(b"k", np.arange(8, dtype="u1")[::2], db=found[0])
        assert txn.get(b"k", db=found[0]) == bytes([0, 2, 4, 6])
