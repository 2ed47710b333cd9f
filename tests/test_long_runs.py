"""The time limit of immediate operators does not cut a run in the App."""

import json

RUN = """
import asyncio, json, sys, time
import fiftyone as fo
from fiftyone.operators.executor import execute_or_delegate_operator

started = time.monotonic()
params = {"backbone": "detail-demo", "cover": 2, "fuser": "mean", "device": "cpu"}
request = {"dataset_name": sys.argv[1], "params": params}
uri = "@detail/detail-embed/compute_detail_embeddings"
execution = asyncio.run(execute_or_delegate_operator(uri, request))
labels = []
for message in execution.result:
    labels.append((message.params or {}).get("label"))
    time.sleep(0.5)
seconds = time.monotonic() - started
print(json.dumps([fo.config.operator_timeout, seconds, execution.is_generator, labels]))
"""


def test_a_generator_outlives_the_limit(dataset, fresh_python):
    done = fresh_python(RUN, dataset.name, FIFTYONE_OPERATOR_TIMEOUT="1")
    assert done.returncode == 0, done.stderr
    limit, seconds, is_generator, labels = json.loads(done.stdout.splitlines()[-1])
    assert (limit, is_generator) == (1, True)
    assert seconds > 2 * limit
    assert any(label and "images/s" in label for label in labels)
    dataset.reload()
    assert len(dataset.exists("detail_embedding")) == 24
