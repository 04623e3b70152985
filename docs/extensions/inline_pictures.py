# SPDX-License-Identifier: MIT
"""Put the text of pictures into the page, so that they have the page's colours, light or dark."""

from html import escape
from pathlib import Path

from docutils import nodes


def put_into_page(app, doctree, docname):
    for image in [*doctree.findall(nodes.image)]:
        if app.builder.format == "html" and image["uri"].startswith("pictures/"):
            svg = Path(app.srcdir, image["uri"]).read_text("utf-8")
            words = escape(image["alt"])
            svg = svg.replace("<svg ", f'<svg role="img" aria-label="{words}" ', 1)
            box = '<div class="picture" role="group" aria-label="Picture" tabindex="0">'
            image.replace_self(nodes.raw("", f"{box}{svg}</div>", format="html"))


def setup(app):
    app.connect("doctree-resolved", put_into_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
