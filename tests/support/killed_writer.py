# SPDX-License-Identifier: MIT
"""The samples that a writer writes until it is killed.

The program of test_datasets_kill.py imports this module and not the test, which imports pytest.
"""

import hashlib

COUNT, EVERY = 1000, 7


def name_of(number):
    """Return a key; keys are in no order."""
    return hashlib.md5(b"%d" % number).digest()


def value_of(number):
    return (b"sample %d " % number) * (1 + number % 50)


def add(writer, layout, number):
    if layout == "plain":
        writer.write(name_of(number), value_of(number))
    elif layout == "ocr":
        writer.append(value_of(number), f"text {number}")
    elif layout == "numbered":
        writer.append(value_of(number))
    else:
        writer.append(value_of(number), number)
