# SPDX-License-Identifier: MIT
"""Build the documentation site; ``make docs`` runs this.  Nothing is fetched meanwhile."""

import inspect
import os
import re
import sys
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

sys.path.insert(0, str(DOCS / "extensions"))
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_markdown_builder",
    "accessible_pages", "check_links", "inline_pictures", "markdown_pages",
    "summaries",
]  # fmt: skip
# The prompts of Python and of the shell are not copied, and what they print is not, either.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
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

# The button copies what is typed, without prompts and results.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"

# Names in annotations without a page: type variables, aliases, types of numpy and Python.
nitpick_ignore_regex = [
    ("py:.*", r"(pylmdb\.(aio|writer)\.)?(K|V|T|ValueT|BytesLike)"),
    ("py:class", r"(BackupSource|Keys|KeyCodec|ValueCodec|Path|Source|Progress)"),
    ("py:class", r"(Decode|Mode|Axes|Pair)"),
    (
        "py:class",
        r"(AwaitableContext|DbSlot|LoopState|ArrayLike|DTypeLike|NDArray|AbstractContextManager)",
    ),
    ("py:class", r"(CData|EllipsisType|Label|SharedEnv|SupportsIndex|Value|bool_|np\.float32)"),
    ("py:class", r"(Array|Bag|datetime)"),  # of Dask and of Python
    ("py:class", r"(Bytes|Codec|Db|EnvironmentOptions|Functions|Int|KeyT|Object|OpenOptions|Own)"),
    ("py:class", r"(PathOrEnv|Records|Str|SupportsKeysAndGetItem|pylmdb\.aio\.methods\..*)"),
    ("py:.*", r"((os\.)?PathLike|(Broken)?Executor|concurrent\.futures.*|functools\..*|glob)"),
    ("py:class", r"pylmdb\.(_|mapping\.iteration).*"),
]

# Names in docstrings are looked up in these modules.
MODULES = [
    "pylmdb",
    "pylmdb.tools.restoring",
    "pylmdb.tools.salvaging",
    "pylmdb.tools.verification",
    "pylmdb.datasets",
    "pylmdb.aio",
]

# Files elsewhere in the repository that are pages of the site, by the page that links to each.  A
# reader of the sources follows the link; the site shows the file in place of the page.
ELSEWHERE = {
    "project/benchmarks": ROOT / "benchmarks" / "README.md",
    "project/changelog": ROOT / "CHANGELOG.md",
    "project/contributing": ROOT / "CONTRIBUTING.md",
    "project/liblmdb": ROOT / "lib" / "liblmdb" / "README.md",
}
# A link to a file, without its anchor.
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)")


# Methods written in C do not have the types of their parameters; the functions that document them
# do.  The function for get_array is in a base class.
for cls, functions in _which_core.documented.items():
    for name, function in functions.items():
        setattr(cls, name, function)
if "get_array" in vars(pylmdb.Transaction):
    del pylmdb.Transaction.get_array

# The signatures of these functions include options that they pass on.  The wrapped functions lack
# these options, and Sphinx would read the defaults there.
for function in vars(datasets).values():
    if inspect.isfunction(function) and hasattr(function, "__signature__"):
        del function.__wrapped__


def show_file(app, docname, source):
    """Set the text of a page, or of the file that it links to, with the links of the site."""
    origin = Path(app.env.doc2path(docname))
    if docname in ELSEWHERE:
        origin = ELSEWHERE[docname]
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text("utf-8")
    if origin.suffix == ".md":
        source[0] = LINK.sub(lambda link: f"]({site_path(origin, link[1], docname)}", source[0])


def site_path(origin, target, docname):
    """Return the path from the page ``docname`` to what the file ``origin`` calls ``target``."""
    path = (origin.parent / target).resolve()
    for name, file in ELSEWHERE.items():
        if path == file:
            path = DOCS / f"{name}.md"
    return os.path.relpath(path, (DOCS / docname).parent)


def tell_apart(app, doctree):
    """Resolve ``Writer`` without a module to the writer of environments; there are two."""
    for node in doctree.findall(pending_xref):
        if node.get("reftarget") == "Writer" and node.get("py:module") == "pylmdb":
            node["reftarget"] = "pylmdb.writer.Writer"


def look_in_package(app, env, node, content):
    """Find ``Transaction.put`` and the like, whichever module the docstring is in."""
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
