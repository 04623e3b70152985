# SPDX-License-Identifier: MIT
"""set_mapsize() waits for exclusive access to the map; no thread waits without a limit."""

import pytest
from programs import run

SETUP = """\
env = pylmdb.open(path, lib_version=lib_version)
env.open_db(b"db")
occupy(env)
def inside(deed):
    "set_mapsize(), with a deed while the map is being replaced: so large that it must move."
    done = []
    def profile(frame, event, _):
        if event == "call" and frame.f_code.co_name == "_wait":
            sys.setprofile(None)
            done.append(deed())
    sys.setprofile(profile)
    env.set_mapsize(1 << 42)
    sys.setprofile(None)
    return done[0]
"""

END = """
with env.begin(write=True, timeout=5) as txn:
    txn.put(b"key", b"value")
assert env.info().map_size == 1 << 42
env.close()
assert not descriptors(path)
"""

CALLS = ["env.begin()", "env.begin(write=True)", "env.stat()", "env.open_db(b'new')", "env.sync()"]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_from_inside_it_is_refused(env_path, lib_version, call):
    """A finalizer or a signal handler would wait for its own thread."""
    run(
        SETUP
        + f"""
assert inside(lambda: raised_by(lambda: {call})) is pylmdb.BusyError
"""
        + END,
        env_path,
        lib_version,
    )


def test_a_writer_waits_for_it_until_its_time_is_over(env_path, lib_version):
    run(
        SETUP
        + """
found = []
def begin():
    found.append(raised_by(env.begin, write=True, timeout=0.01))
inside(lambda: in_threads(begin))
assert found == [pylmdb.LockTimeoutError]
"""
        + END,
        env_path,
        lib_version,
    )
