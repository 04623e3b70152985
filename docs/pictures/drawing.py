# SPDX-License-Identifier: MIT
"""Draw simple SVG pictures in the colours of the page: light or dark.

A picture that stands alone follows the system's setting.  Inside a page of the site it follows the
page, because ``conf.py`` puts its text into the page.
"""

from __future__ import annotations

from html import escape

LIGHT = {
    "ink": "#1f2328", "muted": "#57606a", "line": "#d0d7de", "plain": "#eef0f2",
    "new": "#0072b2", "new-fill": "#d9edfb", "old": "#b34700", "old-fill": "#fde6d6",
    "free": "#00704f", "free-fill": "#d5f2e7",
}  # fmt: skip
DARK = {
    "ink": "#e6e8ea", "muted": "#a4abb3", "line": "#474d54", "plain": "#2a2e33",
    "new": "#62b8ee", "new-fill": "#12344d", "old": "#f59a5c", "old-fill": "#4a2813",
    "free": "#45c79d", "free-fill": "#0f3d30",
}  # fmt: skip


def _colours(selector: str, colours: dict[str, str]) -> str:
    return f"{selector}{{" + "".join(f"--{name}:{value};" for name, value in colours.items()) + "}"


STYLE = "\n".join(
    [
        _colours("svg.picture", LIGHT),
        "@media (prefers-color-scheme:dark){" + _colours("svg.picture", DARK) + "}",
        _colours("body[data-theme=light] svg.picture", LIGHT),
        _colours("body[data-theme=dark] svg.picture", DARK),
        "svg.picture{font-family:system-ui,sans-serif}",
        "svg.picture text{fill:var(--ink);stroke:none}",
        "svg.picture text.muted{fill:var(--muted)}",
        "svg.picture .plain{fill:var(--plain);stroke:var(--muted)}",
        "svg.picture .line{fill:none;stroke:var(--line)}",
        "svg.picture .axis{fill:none;stroke:var(--muted)}",
        *(
            f"svg.picture .{kind}{{fill:var(--{kind}-fill);stroke:var(--{kind})}}"
            for kind in ("new", "old", "free")
        ),
    ]
)

# Letters of a sans-serif font are this wide on average, in parts of their height.
LETTER = 0.56
SIZE = 14


class Drawing:
    """A picture of a fixed size; shapes are drawn in the order of the calls.

    The kinds of shapes and of texts are the classes of ``STYLE``.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._shapes: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, kind: str = "plain", label: str = ""
    ) -> None:
        self._inside(x, y)
        self._inside(x + width, y + height)
        self._shapes.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
            ' rx="3"/>'
        )
        lines = label.split("\n") if label else []
        for number, line in enumerate(lines):
            middle = y + height / 2 + 5 + (number - (len(lines) - 1) / 2) * 17
            self.text(x + width / 2, middle, line, anchor="middle")

    def text(
        self, x: float, y: float, words: str, kind: str = "", anchor: str = "start",
        size: int = SIZE,
    ) -> None:  # fmt: skip
        wide = len(words) * LETTER * size
        left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        self._inside(left, y - size)
        self._inside(left + wide, y)
        look = f' class="{kind}"' if kind else ""
        look += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._shapes.append(
            f'<text{look} x="{x:g}" y="{y:g}" font-size="{size}">'
            f"{escape(words, quote=False)}</text>"
        )

    def key(self, x: float, y: float, kind: str, words: str) -> None:
        """Say what the shapes of a kind are."""
        self.box(x, y, 20, 20, kind)
        self.text(x + 28, y + 15, words)

    def line(
        self, *points: tuple[float, float], kind: str = "axis", width: float = 1.5,
        dashes: str = "",
    ) -> None:  # fmt: skip
        for point in points:
            self._inside(*point)
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._shapes.append(
            f'<polyline class="{kind}" style="fill:none" stroke-width="{width:g}"{dashed}'
            f' points="{path}"/>'
        )

    def arrow(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Draw a line with a head at its end."""
        self.line(start, end, kind=kind)
        (x, y), (from_x, from_y) = end, start
        length = ((x - from_x) ** 2 + (y - from_y) ** 2) ** 0.5
        along = ((x - from_x) / length, (y - from_y) / length)
        back = (x - 9 * along[0], y - 9 * along[1])
        across = (4 * along[1], -4 * along[0])
        sides = [
            (back[0] + across[0], back[1] + across[1]),
            (back[0] - across[0], back[1] - across[1]),
        ]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in [end, *sides])
        self._shapes.append(f'<polygon class="{kind}" style="fill:var(--{kind})" points="{path}"/>')

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" width="{self.width}"'
            f' height="{self.height}" viewBox="0 0 {self.width} {self.height}">'
        )
        return "\n".join([head, f"<style>\n{STYLE}\n</style>", *self._shapes, "</svg>\n"])

    def _inside(self, x: float, y: float) -> None:
        if not (0 <= x <= self.width and 0 <= y <= self.height):
            raise ValueError(
                f"({x:g}, {y:g}) is outside of the picture, {self.width} x {self.height}"
            )
