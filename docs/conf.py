# SPDX-License-Identifier: MIT
"""The documentation site.  ``make docs`` builds it; nothing is fetched meanwhile."""

import inspect
import os
import re
from pathlib import Path

from sphinx.addnodes import pending_xref

import pylmdb
from pylmdb import _which_core, datasets

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = "pylmdb"
author = "The pylmdb authors"
copyright = "2026, the pylmdb authors"
version = release = pylmdb.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "code"
smartquotes_action = "D"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"pylmdb {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"

# What annotations name and no page describes: type variables, aliases, numpy's and Python's types.
nitpick_ignore_regex = [
    ("py:.*", r"(pylmdb\.(aio|writer)\.)?(K|V|T|ValueT|BytesLike)"),
    ("py:class", r"(Keys|KeyCodec|ValueCodec|Path|Source|Progress|Decode|Mode|Axes)"),
    ("py:class", r"(Awaited|DbSlot|Desk|ArrayLike|DTypeLike|NDArray|AbstractContextManager)"),
    ("py:class", r"(CData|Label|SharedEnv|SupportsIndex|Value|np\.float32)"),
    ("py:class", r"(Array|Bag)"),  # of Dask
    ("py:.*", r"((os\.)?PathLike|(Broken)?Executor|concurrent\.futures.*|functools\..*|glob)"),
    ("py:class", r"pylmdb\.(_|mapping\.iteration).*"),
]

# Where what docstrings name is looked for.
MODULES = ["pylmdb", "pylmdb.tools.verification", "pylmdb.datasets"]

# Files elsewhere in the repository that are pages of the site, by the page that stands for each:
# whoever reads the sources follows its link, the site shows the file in its place.
ELSEWHERE = {
    "benchmarks": ROOT / "benchmarks" / "README.md",
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "liblmdb": ROOT / "lib" / "liblmdb" / "README.md",
}
# A link to a file, without what may follow in it: the anchor.
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


# Methods written in C do not know the types of their parameters: the functions do that were written
# to document them.  get_array's is that of a base.
for cls, functions in _which_core.documented.items():
    for name, function in functions.items():
        setattr(cls, name, function)
if "get_array" in vars(pylmdb.Transaction):
    del pylmdb.Transaction.get_array

# The signature of these has the options that they pass on.  The source of the function inside does
# not, and Sphinx looks there for the text of their defaults.
for function in vars(datasets).values():
    if inspect.isfunction(function) and hasattr(function, "__signature__"):
        del function.__wrapped__


def show_file(app, docname, source):
    """The text of a page, or of the file that it stands for, with links as the site has them."""
    origin = Path(app.env.doc2path(docname))
    if docname in ELSEWHERE:
        origin = ELSEWHERE[docname]
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text("utf-8")
    if origin.suffix == ".md":
        source[0] = LINK.sub(lambda link: f"]({site_path(origin, link[1], docname)}", source[0])


def site_path(origin, target, docname):
    """Where the page ``docname`` finds what the file ``origin`` calls ``target``."""
    path = (origin.parent / target).resolve()
    for name, file in ELSEWHERE.items():
        if path == file:
            path = DOCS / f"{name}.md"
    return os.path.relpath(path, (DOCS / docname).parent)


def tell_apart(app, doctree):
    """There are two writers; a name that no module goes with means the one of environments."""
    for node in doctree.findall(pending_xref):
        if node.get("reftarget") == "Writer" and node.get("py:module") == "pylmdb":
            node["reftarget"] = "pylmdb.writer.Writer"


def look_in_package(app, env, node, content):
    """Docstrings say ``Transaction.put``, whichever module they are in."""
    if node["refdomain"] != "py":
        return None
    find = env.get_domain("py").resolve_xref
    names = (f"{module}.{node['reftarget']}" for module in MODULES)
    found = (find(env, node["refdoc"], app.builder, "obj", name, node, content) for name in names)
    return next(filter(None, found), None)


def setup(app):
    app.connect("source-read", show_file)
    app.connect("doctree-read", tell_apart)
    app.connect("missing-reference", look_in_package)
