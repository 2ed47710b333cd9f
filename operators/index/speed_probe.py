"""Measures how fast a model is here, beside the form that wants to know."""

from __future__ import annotations

import logging
import threading

import fiftyone.core.collections as foc

from detail_embed.backbone.weights import has_weights
from detail_embed.engine import speed
from detail_embed.fiftyone_bridge.compute import estimate
from detail_embed.fiftyone_bridge.index.settings import Settings

logger = logging.getLogger(__name__)

_PATIENCE = 3.0  # seconds for which a form waits
_lock = threading.Lock()
_probes: dict[tuple[str, str], threading.Thread] = {}


def start(samples: foc.SampleCollection, settings: Settings) -> None:
    """Measures the speed of a model, once in a process, where it is not known.

    Nothing is downloaded for it: where the weights are not on the disk, nothing is
    measured. The form that asks first waits for a moment.
    """
    if speed.recall(settings.backbone, settings) or not has_weights(
        settings.backbone, settings.pretrained
    ):
        return
    name = settings.backbone, settings.device
    with _lock:
        if name in _probes:
            return
        _probes[name] = threading.Thread(
            target=_measure, args=(samples, settings), daemon=True
        )
        _probes[name].start()
    _probes[name].join(_PATIENCE)


def _measure(samples: foc.SampleCollection, settings: Settings) -> None:
    try:
        estimate.measure(samples, settings)
    except Exception:  # the form goes without; the run will say what is wrong
        logger.info("%s was not measured", settings.backbone, exc_info=True)
