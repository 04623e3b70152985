# SPDX-License-Identifier: MIT
"""The layout ``"ocr"``: ``image-%09d`` and ``label-%09d``, from 1 on, and ``num-samples``.

Projects of text recognition use it, such as PaddleOCR and MMOCR.  An image is a file, a label is
text in UTF-8, and ``num-samples`` holds digits.  A data set without labels has images alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._ordering import Formatted
from ._probe import Recognised
from .numbered import NumberedLayout
from .plain import file_bytes

if TYPE_CHECKING:
    from ._probe import Probe
    from .plain import Label, Records, Value

_IMAGE, _LABEL, _COUNT = b"image-%09d", b"label-%09d", b"num-samples"
_FIRST = 1


def recognise(probe: Probe) -> Recognised | None:
    count = probe.count_in(_COUNT)
    if count is None or count >= probe.entries or (count and not probe.has(_IMAGE % count)):
        return None
    formats = (_IMAGE, _LABEL) if probe.has(_LABEL % _FIRST) else (_IMAGE,)
    return Recognised("ocr", Formatted(count, *formats, start=_FIRST), "pair")


class OcrLayout(NumberedLayout):
    """An image file, its text if it has one, and the count."""

    stores = "file"
    labels = "text"
    count_key = _COUNT

    def records(self, number: int, value: Value, label: Label, name: str | bytes | None) -> Records:
        found: Records = [(_IMAGE % (number + _FIRST), file_bytes(value))]
        if label is not None:
            found.append((_LABEL % (number + _FIRST), str(label).encode()))
        return found
