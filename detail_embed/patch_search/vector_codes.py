"""Short codes of vectors, which propose those that may be near to a query.

FAISS' IVF RaBitQ with one bit a dimension: 72 bytes a vector at d = 512. A text lies in
another cone than images, so that the lists nearest to it hold less of what it is near
to than those of an image would: many are looked at, and all where that is quick.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detail_embed.patch_search.vector_part import CODES, VectorPart, load_faiss

_BITS = 1  # per dimension
_LISTS = 256
_PER_LIST = 40  # vectors to learn a list from
_LOOKED_AT = 4_000_000  # codes: those of the nearest lists
_DEPTH, _PER_IMAGE = 12_000, 8  # vectors that are proposed, at least; for an image
_BLOCK = 50_000  # vectors in memory while they are coded


def write(part: VectorPart, coder: Path) -> Iterator[int]:
    """Writes the codes of a part into its folder.

    Args:
        part: one without codes
        coder: a file with what codes vectors; learnt from this part where there is none

    Yields:
        how many vectors were coded

    Raises:
        ImportError: if faiss is not installed
    """
    faiss = load_faiss()
    if not coder.is_file():
        learn(part, coder)
    index = faiss.read_index(str(coder))
    for vectors in part.blocks(_BLOCK):
        index.add(vectors)
        yield index.ntotal
    faiss.write_index(index, str(part.folder / CODES))


def learn(part: VectorPart, path: Path) -> None:
    """Writes what codes vectors, with none in it, learnt from some of a part."""
    faiss = load_faiss()
    count, dim = part.vectors.shape
    metric = faiss.METRIC_INNER_PRODUCT
    lists = max(1, min(_LISTS, count // 1000))
    coarse = faiss.IndexFlat(dim, metric)
    index = faiss.IndexIVFRaBitQ(coarse, dim, lists, metric, True, _BITS)
    rng = np.random.default_rng(0)
    drawn = np.sort(rng.choice(count, min(count, lists * _PER_LIST), replace=False))
    index.train(part.read(drawn))
    faiss.write_index(index, str(path))


def propose(
    part: VectorPart, query: np.ndarray, k: int, within: np.ndarray | None
) -> np.ndarray:
    """The rows of a part that its codes propose, rising.

    Args:
        part: with codes
        query: ``(d,)`` float32
        k: images that are looked for
        within: the rows to propose from; None for all
    """
    faiss, codes, selected = load_faiss(), part.codes, None
    if within is not None:
        bits = np.zeros(len(part.vectors), bool)
        bits[within] = True
        packed = np.packbits(bits, bitorder="little")
        selected = faiss.IDSelectorBitmap(packed)
    asked = faiss.IVFSearchParameters(
        nprobe=math.ceil(codes.nlist * min(1, _LOOKED_AT / codes.ntotal)), sel=selected
    )
    depth = min(max(_DEPTH, _PER_IMAGE * k), codes.ntotal)
    _, rows = codes.search(query[None], depth, params=asked)
    return np.sort(rows[0][rows[0] >= 0])
