"""How the images of an index were encoded: what was chosen, and what goes on with what.

An index that was begun in fp32 stays exact: "auto" goes on in fp32, and what other
runs keep in bf16 is encoded anew. One that was begun in bf16 or fp16 goes on with what
is fastest; every way is in its record. One of an older version goes on as it did: on a
CPU in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from detail_embed.backbone import Backbone, cpu_ways
from detail_embed.backbone.devices import resolve_device
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.index.records import Record
from detail_embed.fiftyone_bridge.index.settings import Settings

EXACT, AUTO = "fp32", "auto"
_KEPT = "kept features"
_UNKNOWN = {"engine": "unknown", "precision": "unknown"}  # of an older version


def going_on(key: str, record: Record | None, settings: Settings) -> Settings:
    """The settings with the precision that an index goes on with.

    Args:
        key: of the index
        record: what it has; None for a new one
        settings: as asked for

    Raises:
        ValueError: if it is exact, and shall not be any more
    """
    if record is None:
        return settings
    if record.ways is None and settings.precision == AUTO:
        on_cpu = resolve_device(settings.device).type == "cpu"
        return replace(settings, precision=EXACT) if on_cpu else settings
    if not is_exact(record):
        return settings
    if settings.precision not in (AUTO, EXACT):
        raise ValueError(
            f"precision={settings.precision!r}: the index {key!r} was computed in "
            f"{EXACT}, and vectors of both would be mixed in it. Pass "
            f"precision={EXACT!r} or {AUTO!r}, choose another brain key, or start over "
            "with overwrite=True"
        )
    return replace(settings, precision=EXACT)


def is_exact(record: Record) -> bool:
    """Whether all images of an index are known to be encoded in fp32."""
    ways = record.ways or []
    return bool(ways) and all(way["precision"] == EXACT for way in ways)


def leave_out_inexact(store: FeatureStore | None, settings: Settings) -> None:
    """Leaves features aside that were encoded in less than the fp32 asked for."""
    if store is not None and settings.precision == EXACT:
        known = store.precisions().items()
        store.hide(id for id, precision in known if precision != EXACT)


def with_way(
    record: Record, backbone: Backbone, store: FeatureStore | None, ids: Sequence[str]
) -> Record:
    """The record with how the images of a run are encoded.

    Args:
        record: of the index
        backbone: encodes what is not stored
        store: the features that are taken as they are; None for none
        ids: of the images
    """
    found = [_of(backbone)]
    if store is not None:
        known = store.precisions()
        kept = {known[id] for id in ids if id in known} - {backbone.precision}
        found += [{"engine": _KEPT, "precision": precision} for precision in kept]
    ways = list(record.ways or ())
    had = [_name(way) for way in ways]
    ways += [way for way in found if _name(way) not in had]
    return replace(record, ways=ways)


def known_so_far(record: Record) -> Record:
    """The record of an index that has images, of whatever version."""
    return record if record.ways is not None else replace(record, ways=[_UNKNOWN])


def in_words(backbone: Backbone) -> str:
    """How a run encodes, in a sentence."""
    way = backbone.way
    if way is None:
        return f"Encoded on {backbone.device} in {backbone.precision}"
    engine = "OpenVINO" if way.engine == cpu_ways.OPENVINO else "torch"
    text = f"Encoded on the CPU by {engine} in {way.precision}"
    rates = [f"{name} {rate:.2f}" for name, rate in way.rates.items()]
    return f"{text}; speeds measured: {', '.join(rates)}" if rates else text


def _of(backbone: Backbone) -> dict[str, Any]:
    way = backbone.way
    if way is None:
        name = str(backbone.device)
        if backbone.device.type == "cuda":
            name = torch.cuda.get_device_name(backbone.device)
        engine, precision = cpu_ways.TORCH, backbone.precision
        return {"engine": engine, "precision": precision, "machine": name}
    return {
        "engine": way.engine, "precision": way.precision,
        "machine": cpu_ways.cpu_name(), "speeds": dict(way.rates),
    }


def _name(way: dict[str, Any]) -> tuple[Any, ...]:
    return way["engine"], way["precision"], way.get("machine")
