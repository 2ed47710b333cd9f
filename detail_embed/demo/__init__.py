"""The demo: a synthetic world, how its backbone was trained, and a first run."""

