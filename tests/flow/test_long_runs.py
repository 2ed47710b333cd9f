"""Runs that take long: no limit cuts them, and all who wait see how far they are."""

import asyncio
import re
import threading
import time

import fiftyone.operators as foo
import pytest
from fiftyone.operators.decorators import coroutine_timeout
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import (
    ExecutionRunState,
    execute_or_delegate_operator,
)

from detail_embed.backbone.bundled_model import NAME as DEMO

URI = "@detail/detail-embed/compute_detail_embeddings"
MEAN = {"backbone": DEMO, "cover": 2, "fuser": "mean", "device": "cpu"}
LIMIT = 2.0  # seconds, in place of FiftyOne's 600


@pytest.mark.slow
def test_a_generator_outlives_the_limit(dataset):
    limited = coroutine_timeout(LIMIT)(execute_or_delegate_operator.__wrapped__)
    warm = {"brain_key": "warm", **MEAN}
    foo.get_operator(URI)(dataset[:1], **warm)  # what takes long to import is imported
    request = {"dataset_name": dataset.name, "params": MEAN, "filters": {}}
    started = time.monotonic()
    execution = asyncio.run(limited(URI, request))
    assert execution.is_generator
    lines = []
    for message in execution.result:
        lines.append(message.to_json_line())
        time.sleep(LIMIT / 4)  # the run waits for its reader
    assert time.monotonic() - started > LIMIT
    assert any("images/s" in line for line in lines)
    dataset.reload()
    assert len(dataset.exists("detail_embedding")) == 24


def test_the_console_says_how_far_it_is(dataset, capsys):
    missing = dataset.first()
    missing.filepath = "/nowhere/missing.jpg"
    missing.save()
    foo.get_operator(URI)(dataset, **MEAN)
    bar = capsys.readouterr().err
    assert "100% |" in bar
    end = r"24 of 24 images, 1 unreadable, [\d.]+ images/s, 0:00:00 left"
    assert re.search(end, bar)


def test_the_document_of_a_delegated_run_says_how_far_it_is(dataset):
    missing = dataset.first()
    missing.filepath = "/nowhere/missing.jpg"
    missing.save()
    service = DelegatedOperationService()
    slow = {**MEAN, "cover": 5}  # so that the second chunk takes its time
    queued = foo.get_operator(URI)(dataset, **slow, delegate=True).result["id"]
    mine = {"operator": URI, "dataset_name": dataset.name, "log": False}
    worker = threading.Thread(target=service.execute_queued_operations, kwargs=mine)
    worker.start()
    try:
        labels = [said.label for said in follow(service, queued) if said]
        done = service.get(queued)
    finally:
        worker.join()
        service.delete_operation(queued)
    assert done.run_state == ExecutionRunState.COMPLETED, done.result
    assert (done.result.result["embedded"], done.result.result["failed"]) == (23, 1)
    said = [label for label in labels if "images/s" in label]
    assert said and all(label.endswith(" left") for label in said)
    assert any(" of 24 images, 1 unreadable, " in label for label in said)


def follow(service, operation):
    """What the document of a run says, again and again until the run has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        document = service.get(operation)
        yield document.status
        if document.run_state in (
            ExecutionRunState.COMPLETED, ExecutionRunState.FAILED
        ):
            return
        time.sleep(0.002)
