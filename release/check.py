# SPDX-License-Identifier: MIT
"""Check that a release can be made: the tree, the version, the changelog, the files in dist.

    python release/check.py sources         before anything is built
    python release/check.py files           the sdist and the wheels in dist

Each check prints one line.  The exit status is 1 if one of them fails.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

from packaging.utils import parse_wheel_filename
from targets import TARGETS, VERSIONS, interpreter_tag

ROOT = Path(__file__).resolve().parents[1]
# Yields what is wrong: nothing if all is well.
Check = Callable[[], Iterator[str]]


def version() -> str:
    found: str = runpy.run_path(str(ROOT / "src/pylmdb/_version.py"))["__version__"]
    if not re.fullmatch(r"\d+\.\d+\.\d+", found):
        raise SystemExit(f"release: the version must be X.Y.Z, not {found}: src/pylmdb/_version.py")
    return found


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


# ---- the sources ----


def clean_tree() -> Iterator[str]:
    """the tree has no changes"""
    if changed := git("status", "--porcelain"):
        yield f"commit or remove {', '.join(line[3:] for line in changed.splitlines())}"


def new_version() -> Iterator[str]:
    """the version has no tag yet"""
    if git("tag", "--list", f"v{version()}"):
        yield f"v{version()} is tagged; raise the version in src/pylmdb/_version.py"


def changelog() -> Iterator[str]:
    """the changelog begins with the version and a date"""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (.*)$", text, re.M)
    if not (newest and re.fullmatch(rf"{re.escape(version())} \(\d{{4}}-\d\d-\d\d\)", newest[1])):
        found = newest[1] if newest else "nothing"
        yield f"CHANGELOG.md begins with {found!r}; write '{version()} (YYYY-MM-DD)'"


def readme() -> Iterator[str]:
    """the links of the README lead to files"""
    text = (ROOT / "README.md").read_text("utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in link and not (ROOT / link).exists():
            yield f"README.md links to {link}, which does not exist"


def addresses() -> Iterator[str]:
    """the package index shows where the project is"""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    if not re.search(r"^\[project\.urls\]$", text, re.M):
        yield "pyproject.toml has no [project.urls], because pylmdb has no public address yet"


# ---- the files ----


def sdist() -> Path:
    return ROOT / "dist" / f"pylmdb-{version()}.tar.gz"


def complete_sdist() -> Iterator[str]:
    """the sdist has every file of the repository, and liblmdb's sources"""
    with tarfile.open(sdist()) as tar:
        packed = {name.partition("/")[2] for name in tar.getnames()}
    placed = {
        str(path.relative_to(ROOT))
        for engine in ("0.9", "1.0")
        for path in (ROOT / "lib/liblmdb" / engine).iterdir()
    }
    for name in sorted((set(git("ls-files").splitlines()) | placed) - packed):
        yield f"{name} is missing in the sdist; see MANIFEST.in"


def offline_build() -> Iterator[str]:
    """a wheel builds from the sdist without a network"""
    nowhere = {"PIP_NO_INDEX": "1", "http_proxy": "http://127.0.0.1:9"}
    nowhere["https_proxy"] = nowhere["http_proxy"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--no-build-isolation", "--wheel-dir", folder, str(sdist())]
        done = subprocess.run(
            command, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        yield f"pip wheel {sdist().name} fails: {done.stderr.strip().splitlines()[-1]}"


def every_wheel() -> Iterator[str]:
    """there is a wheel for every Python and platform, and no other"""
    expected = {
        (interpreter_tag(python), target.platform) for python in VERSIONS for target in TARGETS
    }
    for path in sorted((ROOT / "dist").glob("*.whl")):
        _, of, _, tags = parse_wheel_filename(path.name)
        names = {(tag.interpreter, tag.platform) for tag in tags}
        if str(of) != version() or not names & expected:
            yield f"{path.name} is not of this release; remove it"
            continue
        if path.stat().st_mtime < sdist().stat().st_mtime:
            yield f"{path.name} is older than the sdist; run: make wheels"
        expected -= names
    for python, platform in sorted(expected):
        yield f"the wheel for {python} on {platform} is missing; make wheels says why"


def bills_of_materials() -> Iterator[str]:
    """each wheel has a valid bill of materials"""
    from cyclonedx.schema import SchemaVersion  # the tests do not have it
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for path in sorted((ROOT / "dist").glob("*.whl")):
        with zipfile.ZipFile(path) as archive:
            bills = [name for name in archive.namelist() if name.endswith("sboms/pylmdb.cdx.json")]
            problems = [validator.validate_str(archive.read(name).decode()) for name in bills]
        if not bills or any(problems):
            yield f"{path.name}: {problems or 'it has none'}"


def index_page() -> Iterator[str]:
    """the page of the package index renders, without links to files"""
    from readme_renderer import markdown  # the tests do not have it

    with tarfile.open(sdist()) as tar:
        info = tar.extractfile(f"{sdist().name.removesuffix('.tar.gz')}/PKG-INFO")
        assert info is not None
        page = markdown.render(str(message_from_bytes(info.read()).get_payload()))
    if not page:
        yield "README.md does not render as Markdown"
    for link in re.findall(r'href="(?!https?://|#)([^"]+)"', page or ""):
        yield f"the page links to {link}, which the package index does not have; see setup.py"


def twine() -> Iterator[str]:
    """twine finds no fault"""
    command = [sys.executable, "-m", "twine", "check", "--strict"]
    files = map(str, [sdist(), *sorted((ROOT / "dist").glob("*.whl"))])
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield done.stdout.strip()


STAGES: dict[str, list[Check]] = {
    "sources": [clean_tree, new_version, changelog, readme, addresses],
    "files": [complete_sdist, offline_build, every_wheel, bills_of_materials, index_page, twine],
}
# What these find is printed, and does not stop a release.
NOTED = {addresses}


def main() -> None:
    parser = argparse.ArgumentParser(description="Check that a release can be made.")
    parser.add_argument("stage", choices=STAGES)
    stage = parser.parse_args().stage
    if stage == "files" and not sdist().is_file():
        raise SystemExit(f"release: dist/{sdist().name} is missing; run: make wheels")
    failed = 0
    for check in STAGES[stage]:
        problems = list(check())
        result = "ok" if not problems else "note" if check in NOTED else "FAILED"
        print(f"{result:<7}{check.__doc__}")
        for problem in problems:
            print(f"       {problem}")
        failed += result == "FAILED"
    if failed:
        raise SystemExit(f"release: {failed} checks failed")


if __name__ == "__main__":
    main()
