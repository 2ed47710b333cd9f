"""How many threads decode images in each of the workers of a machine."""

import pytest

from detail_embed.distributed.worker import share_of_decoders


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": {"memory": 1e9, **resources}}


@pytest.mark.parametrize("nodes, gpus, wanted", [
    ([node(CPU=64.0)], 0, None),
    ([node(CPU=64.0)], 1, None),
    ([node(CPU=64.0, GPU=8.0)], 0, None),
    ([node(CPU=64.0, GPU=8.0)], 1, 8),
    ([node(CPU=192.0, GPU=8.0)], 1, 8),
    ([node(CPU=16.0, GPU=8.0)], 1, 2),
    ([node(CPU=16.0, GPU=8.0)], 0.5, 1),
    ([node(CPU=64.0, GPU=4.0)], 2, 16),
    ([node(CPU=4.0, GPU=8.0)], 1, 1),
    ([node(GPU=1.0)], 1, 1),
    ([node(CPU=64.0, GPU=8.0), node(CPU=8.0, GPU=4.0), node(CPU=2.0)], 1, 2),
    ([node(CPU=64.0, GPU=8.0), node(False, CPU=8.0, GPU=8.0)], 1, 8),
])
def test_workers_share_the_cpus_of_their_machine(nodes, gpus, wanted):
    assert share_of_decoders(nodes, gpus) == wanted
