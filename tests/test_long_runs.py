"""The time limit of immediate operators does not cut a run in the App."""

import json

RUN = """
import asyncio, json, sys, time
import fiftyone as fo
import fiftyone.operators as foo
import open_clip
from fiftyone.operators.executor import execute_or_delegate_operator

uri = "@detail/detail-embed/compute_detail_embeddings"
assert foo.get_operator(uri)  # what takes long to import is imported
started = time.monotonic()
params = {"backbone": "detail-demo", "cover": 2, "fuser": "mean", "device": "cpu"}
request = {"dataset_name": sys.argv[1], "params": params}
execution = asyncio.run(execute_or_delegate_operator(uri, request))
lines = []
for message in execution.result:
    lines.append(message.to_json_line())
    time.sleep(2)  # the run waits for its reader
seconds = time.monotonic() - started
print(json.dumps([fo.config.operator_timeout, seconds, execution.is_generator, lines]))
"""


def test_a_generator_outlives_the_limit(dataset, fresh_python):
    done = fresh_python(RUN, dataset.name, FIFTYONE_OPERATOR_TIMEOUT="4")
    assert done.returncode == 0, done.stderr
    limit, seconds, is_generator, lines = json.loads(done.stdout.splitlines()[-1])
    assert (limit, is_generator) == (4, True)
    assert seconds > limit
    assert any("images/s" in line for line in lines)
    dataset.reload()
    assert len(dataset.exists("detail_embedding")) == 24
