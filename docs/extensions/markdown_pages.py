# SPDX-License-Identifier: MIT
"""The pages as Markdown, and ``llms.txt``, which lists them.

The builder of ``sphinx_markdown_builder`` writes them into the folder of the site.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes

ENTRY = re.compile(r"^- \[([^]]+)\]\(([^)]+)\)", re.MULTILINE)


def adapt(app, doctree, docname):
    """Replace what the builder does not know."""
    if app.builder.format != "markdown":
        return
    for sign in [*doctree.findall(nodes.abbreviation)]:  # * and / in signatures
        sign.replace_self(nodes.Text(sign.astext()))
    for image in doctree.findall(nodes.image):
        image["uri"] = "../" * docname.count("/") + image["uri"]


def listing(app):
    """Return the text of llms.txt: the lists of pages that begin the sections."""
    title, intro = (Path(app.srcdir) / "index.md").read_text("utf-8").split("\n\n")[:2]
    text = [title, "> " + " ".join(intro.split())]
    for name in app.env.toctree_includes["index"]:
        page = (Path(app.srcdir) / f"{name}.md").read_text("utf-8")
        folder = name.rpartition("/")[0]
        entries = page[page.index("\n- ") + 1 :].split("\n\n")[0]
        text += [
            page.splitlines()[0].replace("# ", "## ", 1),
            ENTRY.sub(lambda entry, folder=folder: link(folder, *entry.groups()), entries),
        ]
    return "\n\n".join(text) + "\n"


def link(folder, title, target):
    return f"- [{title}]({folder}/{Path(target).with_suffix('.md').as_posix()})"


def write_rest(app, failure):
    if app.builder.name == "markdown" and not failure:
        out, pictures = Path(app.outdir), Path(app.srcdir) / "pictures"
        (out / "llms.txt").write_text(listing(app), "utf-8")
        (out / "pictures").mkdir(exist_ok=True)
        for picture in pictures.glob("*.svg"):
            shutil.copy(picture, out / "pictures")


def setup(app):
    app.connect("doctree-resolved", adapt)
    app.connect("build-finished", write_rest)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
