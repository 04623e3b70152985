# SPDX-License-Identifier: MIT
"""The pages as Markdown, and ``llms.txt``, which lists them.

The builder of ``sphinx_markdown_builder`` writes them into the folder of the site.
"""

import re
import shutil
from pathlib import Path

from docutils import nodes

ENTRY = re.compile(r"^- \[[^]]+\]\(([^)#]+)\)(: .*)$", re.MULTILINE)


def adapt(app, doctree, docname):
    """Replace what the builder does not know."""
    if app.builder.format != "markdown":
        return
    for sign in [*doctree.findall(nodes.abbreviation)]:  # * and / in signatures
        sign.replace_self(nodes.Text(sign.astext()))
    for image in doctree.findall(nodes.image):
        image["uri"] = "../" * docname.count("/") + image["uri"]


def listing(app):
    """Return the text of llms.txt: the pages of each section, with what its list says of them."""
    title, intro = (Path(app.srcdir) / "index.md").read_text("utf-8").split("\n\n")[:2]
    text = [title, "> " + " ".join(intro.split())]
    for section in app.env.toctree_includes["index"]:
        index = (Path(app.srcdir) / f"{section}.md").read_text("utf-8")
        said = {Path(page).stem: words for page, words in ENTRY.findall(index)}
        text.append(f"## {app.env.titles[section].astext()}")
        text.append(
            "\n".join(
                f"- [{app.env.titles[page].astext()}]({page}.md){said.get(Path(page).name, '')}"
                for page in app.env.toctree_includes[section]
            )
        )
    return "\n\n".join(text) + "\n"


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
