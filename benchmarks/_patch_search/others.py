"""Engines that are installed for this benchmark alone: LanceDB and usearch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np

from benchmarks._patch_search.engines import CHUNK, Engine, Search

try:
    import lancedb
    import pyarrow as pa
except ImportError:
    lancedb = None
try:
    from usearch import index as usearch
except ImportError:
    usearch = None


class Lance(Engine):
    """A row of a table is a patch; its file holds the float16 features too."""

    index: dict

    @property
    def num_bytes(self) -> int:
        """What the index takes, without the rows that it is over."""
        found = self.folder.rglob("_indices/**/*")
        return sum(f.stat().st_size for f in found if f.is_file())

    def build(self) -> None:
        """Writes the rows and indexes them."""
        schema, rows = self.rows()
        reader = pa.RecordBatchReader.from_batches(schema, rows)
        self._table = lancedb.connect(self.folder).create_table("patches", reader)
        self._table.create_index(
            vector_column_name="vector", num_partitions=self.lists,
            wait_timeout=timedelta(hours=1), **self.index,
        )

    def rows(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Patches and the images they are of."""
        vector = pa.list_(pa.float16(), self.store.dim)
        schema = pa.schema([("image", pa.int32()), ("vector", vector)])

        def batches() -> Iterator[pa.RecordBatch]:
            start = 0
            for chunk in self.chunks():
                rows = np.arange(start, start + len(chunk))
                images = np.searchsorted(self.ends, rows, side="right")
                flat = pa.array(chunk.astype(np.float16).ravel())
                vectors = pa.FixedSizeListArray.from_arrays(flat, self.store.dim)
                yield pa.record_batch(
                    [pa.array(images.astype(np.int32)), vectors], schema=schema
                )
                start += len(chunk)

        return schema, batches()

    def searches(self) -> dict[str, Search]:
        """With and without LanceDB's own ranking by exact features."""
        return {
            self.names[0]: self._search(refine=True),
            self.names[1]: self._search(refine=False),
        }

    def _search(self, refine: bool) -> Search:
        def patches(query: np.ndarray, depth: int) -> np.ndarray:
            asked = self._table.search(query).nprobes(self.probes).limit(depth)
            asked = asked.refine_factor(1) if refine else asked
            asked = asked.select(["image", "_distance"])
            return asked.to_arrow()["image"].to_numpy()

        def search(query: np.ndarray, k: int) -> list[int]:
            return self.deepen(lambda depth: patches(query, depth), k)

        return search

    def images(self, rows: np.ndarray) -> list[int]:
        """The rows are images already."""
        return list(dict.fromkeys(rows.tolist()))


class LancePQ(Lance):
    """Product quantizer of as many bytes as FAISS'; 10 rounds of training, not 50.

    With 50 it trains for minutes, however few the patches are.
    """

    names = ("LanceDB IVF_PQ 64 x 8 bits + refine", "LanceDB IVF_PQ 64 x 8 bits")
    index = {
        "index_type": "IVF_PQ", "metric": "dot", "num_sub_vectors": 64,
        "max_iterations": 10,
    }


class LanceRQ(Lance):
    """RaBitQ, one bit a dimension."""

    names = ("LanceDB IVF_RQ 1 bit + refine", "LanceDB IVF_RQ 1 bit")
    index = {"index_type": "IVF_RQ", "metric": "dot", "num_bits": 1}


class LanceMulti(Lance):
    """A row is an image; LanceDB takes the best of its vectors itself."""

    names = ("LanceDB multivector IVF_RQ 1 bit + refine",)
    index = {"index_type": "IVF_RQ", "metric": "cosine", "num_bits": 1}

    def rows(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """Images with the list of their patches."""
        vector = pa.list_(pa.list_(pa.float16(), self.store.dim))
        schema = pa.schema([("image", pa.int32()), ("vector", vector)])

        def batches() -> Iterator[pa.RecordBatch]:
            ends = np.r_[0, self.ends]
            for start, chunk in zip(range(0, len(self.ids), CHUNK), self.chunks()):
                inside = ends[start : start + CHUNK + 1]
                flat = pa.array(chunk.astype(np.float16).ravel())
                vectors = pa.ListArray.from_arrays(
                    pa.array((inside - inside[0]).astype(np.int32)),
                    pa.FixedSizeListArray.from_arrays(flat, self.store.dim),
                )
                images = np.arange(start, start + len(inside) - 1, dtype=np.int32)
                yield pa.record_batch([pa.array(images), vectors], schema=schema)

        return schema, batches()

    def searches(self) -> dict[str, Search]:
        """Ranked by exact features, as many candidates as ours has."""

        def search(query: np.ndarray, k: int) -> list[int]:
            asked = self._table.search(query).nprobes(self.probes).limit(k)
            asked = asked.refine_factor(4).select(["image", "_distance"])
            return asked.to_arrow()["image"].to_pylist()

        return {self.names[0]: search}


class Graph(Engine):
    """A graph (HNSW) over the patches."""

    most = 4096  # patches of one search: a graph gets slow

    def build(self) -> None:
        """Adds patch after patch."""
        self._index = self.make()
        start = 0
        for chunk in self.chunks():
            keys = np.arange(start, start + len(chunk))
            self._index.add(keys, self.code(chunk), threads=1)
            start += len(chunk)
        self._index.save(str(self.folder / "index.usearch"))

    def make(self) -> usearch.Index:
        """An empty index."""
        raise NotImplementedError

    def code(self, rows: np.ndarray) -> np.ndarray:
        """What is compared."""
        return rows

    def searches(self) -> dict[str, Search]:
        """With and without the ranking by exact features."""

        def bare(query: np.ndarray, k: int) -> list[int]:
            return self.deepen(self._patches(query), k)

        def search(query: np.ndarray, k: int) -> list[int]:
            return self.rerank(query, bare(query, k), k)

        return {self.names[0]: search, self.names[1]: bare}

    def _patches(self, query: np.ndarray) -> Callable[[int], np.ndarray]:
        code = self.code(query[None])[0]

        def search(depth: int) -> np.ndarray:
            found = self._index.search(code, min(depth, self.most), threads=1)
            return np.asarray(found.keys).astype(np.int64)

        return search


class GraphInt8(Graph):
    """One byte a dimension."""

    names = ("usearch HNSW int8 + re-rank", "usearch HNSW int8")

    def make(self) -> usearch.Index:
        """See :class:`Graph`."""
        return usearch.Index(ndim=self.store.dim, metric="ip", dtype="i8")


class GraphBits(Graph):
    """The signs of the features, compared by the bits that differ."""

    names = ("usearch HNSW 1 bit + re-rank", "usearch HNSW 1 bit")

    def make(self) -> usearch.Index:
        """See :class:`Graph`."""
        return usearch.Index(ndim=self.store.dim, metric="hamming", dtype="b1")

    def code(self, rows: np.ndarray) -> np.ndarray:
        """The signs, packed."""
        return np.packbits(rows > 0, axis=1)


ENGINES: list[type[Engine]] = [
    *([LancePQ, LanceRQ, LanceMulti] if lancedb else []),
    *([GraphInt8, GraphBits] if usearch else []),
]
