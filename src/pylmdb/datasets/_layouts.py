# SPDX-License-Identifier: MIT
"""The layouts in use: how a data set lies in an LMDB file, and how to tell.

========================  ===================================================================
``"order"``               any keys; the database ``order_name(db)`` has the key of each
                          sample, by its number as 8 bytes, the highest first
``"ocr"``                 ``image-%09d`` and ``label-%09d`` from 1, ``num-samples`` in digits
``"folder2lmdb"``         pickled pairs of encoded image and label; ``__keys__`` and
                          ``__len__``, pickled, say in which order
``"basicsr"``             names of images; ``meta_info.txt`` beside the data file says which
``"mmsr"``                the same with ``meta_info.pkl``
``"numbered"``            ``0``, ``1``, ``2``, not filled up with zeros; a record ``length``,
                          ``num_examples`` or ``__len__`` may say how many
``"datum"``               ``%08d_name``, ``%08d`` or other numbers, of Datum values
``"padded"``              numbers of one width, as ``%08d``
``"integers"``            8 bytes, the highest first, or native ones with ``integerkey=True``
``"pairs"``               ``image_%03d`` and ``label_%03d``, or with other digits and signs
``"plain"``               anything, in key order
========================  ===================================================================

A layout is told by a few look-ups.  Only ``%08d_name``, ``"plain"`` and whatever has gaps need the
keys themselves: one scan, of keys alone, as ``"order"`` scans the numbered database.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .._base.numpy import np
from .._environment import catalog as _catalog
from ..arrays import Snapshot
from ..errors import BadValsizeError, CorruptedError, InvalidParameterError, NotFoundError
from . import _plain_pickle, datum
from ._layout_names import read_names
from ._orders import Formatted, Integers, Listed, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ..database import Database
    from ..environment import Environment
    from ..transaction import Transaction

# records beside the samples that say how many there are, pickled or in digits
COUNTS = (b"length", b"num_examples", b"__len__")
FOLDER_KEYS, FOLDER_COUNT = b"__keys__", b"__len__"
OCR_IMAGE, OCR_LABEL, OCR_COUNT = b"image-%09d", b"label-%09d", b"num-samples"
CAFFE = b"%08d"
META_TEXT, META_PICKLE = "meta_info.txt", "meta_info.pkl"
# the bytes that LMDB keeps about a record, beside its key and value
_LEAST_RECORD = 8
# so many records beside numbered samples are nothing strange
_BESIDE = 16


def order_name(db: bytes | None) -> bytes:
    """The name of the database with the order of samples in ``db`` (None: the main one).

    Its keys are the numbers of samples as 8 bytes, the highest first; its values are keys.
    """
    return b"__order__" + (db or b"")


def folder_of(path: str) -> str:
    """Where the files beside a data set are, by the path of its environment."""
    return path if os.path.isdir(path) else os.path.dirname(path)


class Recognised(NamedTuple):
    """What a file turned out to be.

    ``sample`` says what a sample is: ``"value"``, a value by its own format; ``"datum"``;
    ``"pair"``, image and text; ``"pairs"``, two values by their own formats; ``"pickle"``, plain
    data.
    """

    layout: str
    order: Order
    sample: str = "value"


class Look:
    """A look into one database, in a read transaction."""

    def __init__(self, env: Environment, txn: Transaction[bytes], db: Database | None) -> None:
        self.env, self.txn, self.db = env, txn, db
        handle = env.open_db() if db is None else db
        self.flags = handle.flags()
        self.name = handle.name
        self.entries = _entries(env, int(txn.stat(db).entries))
        self.folder = folder_of(env.path())

    def get(self, key: bytes) -> bytes | None:
        return self.txn.get(key, None, self.db)

    def has(self, key: bytes) -> bool:
        try:
            return self.txn.view(key, None, self.db) is not None
        except BadValsizeError:  # no database has it
            return False

    def number(self, key: bytes) -> int | None:
        """The count that a record says, in digits or pickled."""
        value = self.get(key)
        if value is None or len(value) > 100:
            return None
        if value.isdigit():
            return int(value)
        try:
            number = _plain_pickle.loads(value)
        except InvalidParameterError:
            return None
        return number if type(number) is int and number >= 0 else None

    def bounds(self, low: bytes, high: bytes) -> tuple[bytes, bytes] | None:
        """The first key from ``low`` on, and the last before ``high``."""
        with self.txn.cursor(self.db) as cursor:
            if not cursor.set_range(low) or cursor.key() >= high:
                return None
            first = cursor.key()
            (cursor.prev if cursor.set_range(high) else cursor.last)()
            return first, cursor.key()

    def ends(self) -> tuple[bytes, bytes] | None:
        """The first key and the last one, as the database sorts them."""
        with self.txn.cursor(self.db) as cursor:
            if not cursor.first():
                return None
            first = cursor.key()
            cursor.last()
            return first, cursor.key()


def _entries(env: Environment, claimed: int) -> int:
    """How many records a database says that it has: memory is taken for as many samples.

    :raises CorruptedError: the file is too small for so many.
    """
    size = (env.info().last_pgno + 1) * env.stat().psize
    if claimed > size // _LEAST_RECORD:
        raise CorruptedError(
            f"{env.path()!r} claims {claimed} records, and its {size} bytes cannot hold more"
            f" than {size // _LEAST_RECORD}"
        )
    return claimed


# -- one by one ---------------------------------------------------------------------------


def _ordered(look: Look) -> Recognised | None:
    try:
        index = look.env.open_db(order_name(look.name), create=False)
    except NotFoundError:
        return None
    with Snapshot(look.env, index) as numbers:
        values = [bytes(value) for value in numbers]
        keys = numbers.keys()
    wanted = np.arange(len(values), dtype=">u8")
    if len(keys) and (not isinstance(keys, np.ndarray) or keys.tobytes() != wanted.tobytes()):
        raise InvalidParameterError(f"{order_name(look.name)!r} does not number samples from 0 on")
    return Recognised("order", Listed(_table(values)))


def _ocr(look: Look) -> Recognised | None:
    count = look.number(OCR_COUNT)
    if count is None or count >= look.entries or (count and not look.has(OCR_IMAGE % count)):
        return None
    parts = (OCR_IMAGE, OCR_LABEL) if look.has(OCR_LABEL % 1) else (OCR_IMAGE,)
    return Recognised("ocr", Formatted(count, *parts, start=1), "pair")


def _folder(look: Look) -> Recognised | None:
    listed = look.get(FOLDER_KEYS)
    if listed is None or look.number(FOLDER_COUNT) is None:
        return None
    keys = _plain_pickle.loads(listed)
    if not isinstance(keys, (list, tuple)) or not all(type(key) is bytes for key in keys):
        raise InvalidParameterError(f"{FOLDER_KEYS!r} is not a list of keys")
    return Recognised("folder2lmdb", Listed(_table(keys)), "pickle")


def _basicsr(look: Look) -> Recognised | None:
    path = os.path.join(look.folder, META_TEXT)
    if look.name is not None or not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        names = [_stem(line) for line in lines if line.strip()]
    return _named("basicsr", look, names)


def _mmsr(look: Look) -> Recognised | None:
    path = os.path.join(look.folder, META_PICKLE)
    if look.name is not None or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        names = _meta_keys(_plain_pickle.loads(file.read()))
    return _named("mmsr", look, names)


def _named(layout: str, look: Look, names: list[str]) -> Recognised | None:
    keys = [name.encode("utf-8", "surrogateescape") for name in names]
    if keys and not (look.has(keys[0]) and look.has(keys[-1])):
        return None
    return Recognised(layout, Listed(_table(keys)))


def _stem(line: str) -> str:
    """``name.png (480,320,3) 1``: the key is the name without what is behind its last dot."""
    name = re.split(r" \(\d", line.rstrip("\n"), maxsplit=1)[0].strip()
    return os.path.splitext(name)[0]


def _meta_keys(meta: object) -> list[str]:
    keys = meta.get("keys") if isinstance(meta, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InvalidParameterError(f"{META_PICKLE} has no list of keys")
    return keys


def _numbered(look: Look) -> Recognised | None:
    if not look.has(b"0"):
        return None
    for name in COUNTS:
        count = look.number(name)
        if count is not None and count < look.entries and look.has(b"%d" % (count - 1)):
            return Recognised("numbered", Formatted(count, b"%d"))
    for beside in range(_BESIDE):
        count = look.entries - beside
        if count > 0 and look.has(b"%d" % (count - 1)):
            # 10 stands before 9: between them are all that have more digits
            return Recognised("numbered", Formatted(count, b"%d"))
    return None


def _padded(look: Look) -> Recognised | None:
    found = look.bounds(b"0", b":")
    if found is None or len({*map(len, found)}) > 1 or not all(key.isdigit() for key in found):
        return None
    first, last = map(int, found)
    count = last - first + 1
    if not 0 <= look.entries - count <= _BESIDE or last >= 2**63:
        return None
    text = b"%%0%dd" % len(found[0])
    return Recognised("padded", Formatted(count, text, start=first))


def _integers(look: Look) -> Recognised | None:
    found = look.ends()
    native = bool(look.flags["integerkey"])
    if found is None or {*map(len, found)} not in ([{4}, {8}] if native else [{8}]):
        return None
    dtype = np.dtype(f"=u{len(found[0])}" if native else ">u8")
    first, last = (int(np.frombuffer(key, dtype)[0]) for key in found)
    if last - first + 1 != look.entries:
        return None
    return Recognised("integers", Integers(look.entries, first, dtype))


def _caffe(look: Look) -> Recognised | None:
    found = look.bounds(b"0", b":")
    if found is None or not all(re.match(rb"\d{8}_", key) for key in found):
        return None
    return Recognised("datum", Listed(_scanned(look)), "datum")


def _datum(look: Look) -> Recognised | None:
    """Datum values, whatever their keys are."""
    for recognised in (_ordered, _caffe, _padded, _numbered, _plain):
        found = recognised(look)
        if found is not None:
            fits = not found.order.count or _has_datum(look, found.order)
            return Recognised("datum", found.order, "datum") if fits else None
    return None


def _has_datum(look: Look, order: Order) -> bool:
    """Whether the first sample is a Datum."""
    if not order.count:
        return False
    value = look.get(order.keys(np.zeros(1, np.int64))[0])
    try:
        return value is not None and len(datum.decode(value)[0]) > 0
    except InvalidParameterError:
        return False


def _pairs(look: Look) -> Recognised | None:
    """Two records for each number."""
    found = look.bounds(b"image", b"imagf") or look.bounds(b"img", b"imh")
    matches = [re.fullmatch(rb"((?:image|img)s?[-_/:.]?)(\d{1,18})", key) for key in found or ()]
    if not all(matches) or len({match[1] for match in matches if match}) != 1:
        return None
    (prefix, first), (_, last) = (match.groups() for match in matches if match)
    counts = [(look.entries - beside) // 2 for beside in range(0, _BESIDE, 2)]
    possible = [(b"%d", int(not look.has(prefix + b"0")), count) for count in counts]
    if len(first) == len(last):
        possible.insert(0, (b"%%0%dd" % len(first), int(first), int(last) - int(first) + 1))
    for digits, start, count in possible:
        image = prefix + digits
        label = re.sub(b"image|img", b"label", image)
        ends = (start, start + count - 1)
        both = all(look.has(text % number) for text in (image, label) for number in ends)
        beside = look.entries - 2 * count
        if both and 0 <= beside <= _BESIDE and not look.has(image % (start + count)):
            return Recognised("pairs", Formatted(count, image, label, start=start), "pairs")
    return None


def _plain(look: Look) -> Recognised:
    return Recognised("plain", Listed(_scanned(look)))


def _scanned(look: Look) -> NDArray[Any] | Sequence[bytes]:
    """The keys of all records but those that are named databases.  No value is read."""
    named = {*_catalog.keys(look.env, look.txn)} if look.name is None else ()
    with look.txn.cursor(look.db) as cursor:
        keys = [key for key in cursor.iternext(True, False) if key not in named]
    return _table(keys)


# in the order in which they are tried
LAYOUTS: dict[str, Callable[[Look], Recognised | None]] = {
    "order": _ordered,
    "ocr": _ocr,
    "folder2lmdb": _folder,
    "basicsr": _basicsr,
    "mmsr": _mmsr,
    "numbered": _numbered,
    "padded": _padded,
    "integers": _integers,
    "caffe": _caffe,
    "pairs": _pairs,
    "plain": _plain,
}
_RECOGNISERS = {**LAYOUTS, "datum": _datum}
# where the values are looked at, too
_MAYBE_DATUM = ("order", "padded")
# with native integers for keys nothing else can be looked up
_NATIVE = ("order", "integers", "plain")


def recognise(env: Environment, db: Database | None = None, layout: str = "auto") -> Recognised:
    """The layout of a database, and with it the order of its samples.

    :param layout: one that it must have; ``"auto"`` for the first that fits.
    :raises InvalidParameterError: it does not have that layout, or has duplicates.
    """
    wanted = () if layout == "auto" else read_names(layout)
    with env.begin() as txn:
        look = Look(env, txn, db)
        if look.flags["dupsort"]:
            raise InvalidParameterError(
                f"{env.path()!r}: the database has duplicates, and a sample has a key of its own"
            )
        native = bool(look.flags["integerkey"])
        possible = _NATIVE if native else tuple(_RECOGNISERS)
        for name in wanted or LAYOUTS:
            found = _RECOGNISERS[name](look) if name in possible else None
            if found is not None and found.layout in _MAYBE_DATUM and _has_datum(look, found.order):
                # the name has to be one that finds the same again
                return Recognised(name if wanted or native else "datum", found.order, "datum")
            if found is not None:
                return found
    raise InvalidParameterError(f"{env.path()!r} has not the layout {layout!r}")


def _table(keys: Sequence[Any]) -> NDArray[Any] | Sequence[bytes]:
    """Keys as an array of their width, if they have one."""
    widths = {*map(len, keys)}
    if len(widths) != 1 or widths == {0}:
        return list(keys)
    return np.frombuffer(b"".join(keys), f"V{widths.pop()}")
