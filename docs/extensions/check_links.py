# SPDX-License-Identifier: MIT
"""Check that each link from page to page leads to a file and to an anchor that exist."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


class Page(HTMLParser):
    """The anchors of a page and what it links to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = {""}, []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given.get("id", ""), given.get("name", "") if tag == "a" else ""}
        self.links += [given[name] for name in ("href", "src") if given.get(name)]


def broken(folder):
    """Yield each link of the site to something that does not exist."""
    pages = {path.resolve(): Page(path) for path in Path(folder).rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (target in pages and anchor not in pages[target].anchors):
                yield f"{path.relative_to(folder)} links to {link}, which does not exist"


def check(app, failure):
    if app.builder.name == "html" and not failure:
        for line in sorted(set(broken(Path(app.outdir).resolve()))):
            LOGGER.warning(line)


def setup(app):
    # After the files that other handlers write.
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
