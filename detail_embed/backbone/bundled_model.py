"""The demo backbone: a small open_clip model of the CLVER-DS world.

It takes the same code path as any other open_clip model; only its config and
its weights are found here instead of in open_clip and on a hub.
"""

from pathlib import Path

NAME = "detail-demo"
WHAT = "knows 797 things of synthetic scenes, no photographs"
KNOWS = f"{NAME} {WHAT}"
CONFIG = Path(__file__).with_name("detail-demo.json")
WEIGHTS = Path(__file__).with_name("detail-demo.safetensors")


def register() -> None:
    """Makes ``open_clip.create_model("detail-demo")`` possible."""
    import open_clip

    open_clip.add_model_config(CONFIG)
