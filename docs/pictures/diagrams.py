# SPDX-License-Identifier: MIT
"""Pictures of how things work."""

from __future__ import annotations

from drawing import Drawing


def snapshots() -> Drawing:
    """Pages of a file, and which snapshot has them."""
    picture = Drawing(700, 380)
    picture.text(20, 26, "snapshot of commit 7")
    picture.text(470, 26, "snapshot of commit 8")
    picture.box(90, 44, 130, 40, "old", "meta page 0")
    picture.box(470, 44, 130, 40, "new", "meta page 1")
    picture.box(90, 124, 130, 40, "old", "2: root")
    picture.box(470, 124, 130, 40, "new", "6: root")
    picture.box(40, 214, 130, 40, "old", "4: leaf")
    picture.box(280, 214, 130, 40, "plain", "3: leaf")
    picture.box(520, 214, 130, 40, "new", "5: leaf")
    for start, end, kind in [
        ((155, 84), (155, 122), "old"),
        ((130, 164), (108, 212), "old"),
        ((190, 164), (320, 212), "old"),
        ((535, 84), (535, 122), "new"),
        ((510, 164), (370, 212), "new"),
        ((560, 164), (583, 212), "new"),
    ]:
        picture.arrow(start, end, kind)
    picture.text(105, 274, "red", "muted", "middle")
    picture.text(345, 274, "unchanged: both have it", "muted", "middle")
    picture.text(585, 274, "green", "muted", "middle")
    picture.text(20, 318, "the file", "muted")
    kinds = ("old", "new", "old", "plain", "old", "new", "new")
    names = ("meta 0", "meta 1", "2 root", "3 leaf", "4 leaf", "5 leaf", "6 root")
    for number, (kind, name) in enumerate(zip(kinds, names, strict=True)):
        picture.box(20 + 94 * number, 330, 88, 36, kind, name)
    return picture


def reader() -> Drawing:
    """What an old read transaction keeps from being reused."""
    picture = Drawing(700, 270)
    for place, commit in enumerate(range(6, 11)):
        x = 150 + 108 * place
        kept = commit >= 8
        picture.text(x + 45, 26, f"commit {commit}", anchor="middle")
        for row in range(3):
            picture.box(x, 38 + 24 * row, 90, 20, "old" if kept else "free")
    picture.text(20, 60, "pages that")
    picture.text(20, 78, "each commit")
    picture.text(20, 96, "has freed")
    picture.text(20, 148, "reader")
    picture.line((411, 143), (674, 143), kind="old", width=4)
    picture.line((411, 133), (411, 153), kind="old", width=4)
    picture.text(411, 176, "its snapshot: commit 8", "muted", "middle")
    picture.text(674, 176, "still open", "muted", "end")
    picture.key(20, 205, "free", "can be reused: freed before the oldest snapshot that is read")
    picture.key(20, 237, "old", "cannot be reused until the reader ends")
    return picture


def growth() -> Drawing:
    """The file, the limit and the mapped addresses while data are written."""
    picture = Drawing(700, 330)
    width = 4.2  # pixels for each MiB
    steps = (
        ("opened", 1, 10, 64),
        ("12 MiB of data: the limit doubles", 12, 20, 64),
        ("70 MiB: the map is extended at its end", 70, 80, 128),
    )
    for row, (title, data, limit, mapped) in enumerate(steps):
        y = 10 + 88 * row
        picture.text(20, y + 16, title)
        picture.box(20, y + 26, mapped * width, 44, "plain")
        picture.box(20, y + 32, limit * width, 32, "new")
        picture.box(20, y + 40, data * width, 16, "old")
        picture.text(28 + mapped * width, y + 53, f"{mapped} MiB", "muted")
    for x, kind, words in [
        (20, "old", "the file: used"),
        (190, "new", "the limit: map_size"),
        (400, "plain", "mapped addresses: reserved"),
    ]:
        picture.key(x, 290, kind, words)
    return picture


def batch() -> Drawing:
    """Waiting for the disk: one lookup after the other, and all of a batch together."""
    picture = Drawing(700, 320)
    picture.text(20, 26, "a loop over get: each lookup waits for its page")
    for number in range(4):
        x = 20 + 150 * number
        picture.box(x, 38, 122, 28, "old", "wait for page")
        picture.box(x + 124, 38, 22, 28, "new")
    picture.line((20, 82), (680, 82))
    picture.text(20, 126, "get_many: all pages are requested, then the lookups are made")
    picture.box(20, 138, 22, 116, "free")
    for number in range(4):
        picture.box(48 + 6 * number, 138 + 30 * number, 122, 26, "old", "wait for page")
        picture.box(196 + 26 * number, 138, 22, 116, "new")
    picture.line((20, 268), (680, 268))
    picture.text(680, 262, "time", "muted", "end")
    for x, kind, words in [
        (20, "free", "request pages"),
        (200, "old", "the disk reads"),
        (380, "new", "lookup in memory"),
    ]:
        picture.key(x, 288, kind, words)
    return picture


def dataset() -> Drawing:
    """From a folder of images to a batch."""
    picture = Drawing(700, 250)
    columns = (
        (20, "a folder", "plain", ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")),
        (200, "one LMDB file", "old", ("00000000", "00000001", "00000002", "00000003")),
        (380, "keys of a batch", "free", ("00000002", "00000000", "00000003")),
        (560, "an array", "new", ("sample", "sample", "sample")),
    )
    for x, title, kind, rows in columns:
        picture.text(x, 26, title)
        for row, name in enumerate(rows):
            picture.box(x, 40 + 34 * row, 120, 28, kind, name)
    for x in (144, 324, 504):
        picture.arrow((x, 105), (x + 50, 105), "new")
    for x, lines in [
        (20, ("from_image_folder", "reads in threads,", "sorts by key")),
        (200, ("Dataset", "finds a sample", "by its number")),
        (380, ("Loader", "shuffles, requests", "pages of a batch")),
        (560, ("Loader", "copies or decodes", "in threads")),
    ]:
        for row, words in enumerate(lines):
            picture.text(x, 200 + 18 * row, words, "" if row == 0 else "muted")
    return picture
