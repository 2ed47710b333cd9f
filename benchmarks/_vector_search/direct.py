"""LanceDB and milvus-lite without FiftyOne's wrappers."""

from __future__ import annotations

from datetime import timedelta

import fiftyone.core.view as fov
import numpy as np

from benchmarks._vector_search.paths import SearchPath

try:
    import lancedb
    import pyarrow as pa
except ImportError:
    lancedb = None
try:
    from pymilvus import DataType, MilvusClient
except ImportError:
    MilvusClient = None

_TABLE = "images"
_BATCH = 1000


class Direct(SearchPath):
    """An engine that gives ids, which a view is made of."""

    def search(self, query: np.ndarray, k: int) -> fov.DatasetView:
        """Asks the engine and makes the view."""
        return self.dataset.select(self.find(query, k), ordered=True)

    def find(self, query: np.ndarray, k: int) -> list[str]:
        """The ids of the best images."""
        raise NotImplementedError


class Lance(Direct):
    """A table that is written once and read as a whole by every search."""

    name, needs = "lancedb, no index", "lancedb"

    def build(self) -> None:
        """Writes the table."""
        vectors = pa.array(self.rows.reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(vectors, self.rows.shape[1])
        table = pa.table({"id": self.dataset.values("id"), "vector": vectors})
        self.table = lancedb.connect(self.folder).create_table(_TABLE, table)

    def find(self, query: np.ndarray, k: int) -> list[str]:
        """Searches by the dot product."""
        search = self.table.search(query).distance_type("dot").select(["id"])
        return search.limit(k).to_arrow()["id"].to_pylist()


class LanceRabitq(Lance):
    """One bit a dimension; the best candidates are ranked again exactly."""

    name = "lancedb, IVF_RQ, 4 k ranked again"

    def build(self) -> None:
        """Writes the table and indexes it."""
        super().build()
        self.table.create_index(
            metric="dot", vector_column_name="vector", index_type="IVF_RQ",
            num_partitions=max(1, len(self.rows) // 4096),
            wait_timeout=timedelta(minutes=10),
        )

    def find(self, query: np.ndarray, k: int) -> list[str]:
        """Searches all partitions."""
        search = self.table.search(query).distance_type("dot").select(["id"])
        search = search.nprobes(max(1, len(self.rows) // 4096)).refine_factor(4)
        return search.limit(k).to_arrow()["id"].to_pylist()


class Milvus(Direct):
    """HNSW with parameters for texts among images."""

    name = "milvus-lite, HNSW M=16, efConstruction=200, ef=200"
    needs, most = "milvus_lite", 10_000

    def build(self) -> None:
        """Inserts all and builds the graph."""
        self._client = MilvusClient(str(self.folder / "milvus.db"))
        schema = self._client.create_schema()
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=24)
        dim = self.rows.shape[1]
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        index = self._client.prepare_index_params()
        index.add_index(
            "vector", index_type="HNSW", metric_type="IP",
            params={"M": 16, "efConstruction": 200},
        )
        self._client.create_collection(_TABLE, schema=schema, index_params=index)
        ids = self.dataset.values("id")
        for start in range(0, len(ids), _BATCH):
            some = slice(start, start + _BATCH)
            pairs = zip(ids[some], self.rows[some])
            self._client.insert(
                _TABLE, [{"id": id, "vector": row} for id, row in pairs]
            )
        self._client.flush(_TABLE)
        self._client.load_collection(_TABLE)

    def find(self, query: np.ndarray, k: int) -> list[str]:
        """Searches the graph."""
        params = {"metric_type": "IP", "params": {"ef": max(200, 2 * k)}}
        found = self._client.search(_TABLE, [query], limit=k, search_params=params)
        return [hit["id"] for hit in found[0]]

    def close(self) -> None:
        """Closes the file."""
        self._client.close()
