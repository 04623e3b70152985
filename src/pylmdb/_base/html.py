# SPDX-License-Identifier: MIT
"""What notebooks show of an object: a title, and a table of its properties."""

from __future__ import annotations

from html import escape


def table(title: str, rows: dict[str, str]) -> str:
    """Return HTML; all text is escaped."""
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items()
    )
    whole = f"<div><b>{escape(title)}</b><table>{cells}</table></div>"
    return whole.encode("utf-8", "backslashreplace").decode()  # a path may be no text
