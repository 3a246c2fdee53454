"""What drift is measured of in a free text: its length, its words, and which characters it is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairlead.contracts.profile import TEXT_SHAPES
from fairlead.profile.bins import Floats, as_numbers

MOST_CHARS = 1000
"""So many characters of a text are looked at; its length is that of all of it."""
_REPLACED = 0xFFFD
"""What a reader writes in the place of bytes that are no text."""
_SPACES = (0x09, 0x0A, 0x0D)


def lengths(texts: Sequence[str | None]) -> Floats:
    """The characters of each text; NaN where there is none."""
    return as_numbers([None if text is None else len(text) for text in texts])


def shapes(texts: Sequence[str | None]) -> Floats:
    """TEXT_SHAPES of each text, by its first MOST_CHARS characters: shape (texts, shapes). NaN where there is none.

    `words` are separated by spaces; the others are the share of the characters that are ASCII digits, ASCII capitals,
    not ASCII, or no text: control characters, and those in the place of bytes that could not be read.
    """
    found = np.full((len(texts), len(TEXT_SHAPES)), np.nan)
    places = [place for place, text in enumerate(texts) if text is not None]
    known = [text[:MOST_CHARS] for text in texts if text is not None]
    if not known:
        return found
    codes = np.frombuffer("".join(known).encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = np.array([len(text) for text in known])
    ends = np.cumsum(sizes)
    control = ((codes < 0x20) & ~np.isin(codes, _SPACES)) | ((codes >= 0x7F) & (codes < 0xA0))
    odd = control | (codes == _REPLACED) | ((codes >= 0xD800) & (codes < 0xE000))
    digits, capitals = (codes >= 0x30) & (codes <= 0x39), (codes >= 0x41) & (codes <= 0x5A)
    found[places, 0] = [len(text.split()) for text in known]
    for at, flags in enumerate((digits, capitals, codes > 0x7F, odd), 1):
        sums = np.concatenate(([0], np.cumsum(flags)))
        found[places, at] = (sums[ends] - sums[ends - sizes]) / np.maximum(sizes, 1)
    return found
