# SPDX-License-Identifier: MIT
"""Complete the theme's HTML, so that pages can be used with a keyboard and with a screen reader."""

import re
from pathlib import Path

from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

CHANGES = {
    # Two landmarks of one kind have names.
    r'(<aside class="sidebar-drawer")>': r'\1 aria-label="Pages">',
    r'(<aside class="toc-drawer[^>"]*")>': r'\1 aria-label="On this page">',
    r'(<div class="content-icon-container")>': r'\1 role="navigation" aria-label="This page">',
    # What scrolls can be reached with the keyboard.
    r"(<pre)>": r'\1 tabindex="0">',
    r'(<div class="table-wrapper[^"]*")>': r'\1 tabindex="0">',
    # An empty cell heads no column.
    r'(<t)h class="head[^"]*"><p></p></th>': r"\1d></td>",
    # The page of the search has a heading.
    r'(<article role="main"[^>]*>\s*)(?=<noscript>)': r"\1<h1>Search</h1>",
}


def complete(app, failure):
    if app.builder.name != "html" or failure:
        return
    site = ""
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text("utf-8")
        for pattern, replacement in CHANGES.items():
            text = re.sub(pattern, replacement, text)
        path.write_text(text, "utf-8")
        site += text
    added = [replacement.removeprefix(r"\1") for replacement in CHANGES.values()]
    if missing := [words for words in added if words not in site]:
        LOGGER.warning("the theme's HTML is not as it was; nowhere added: %s", missing)


def setup(app):
    app.connect("build-finished", complete)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
