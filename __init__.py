"""The detail-embed plugin for FiftyOne."""


def register(plugin):
    """Registers the plugin's operators."""
    from .operators import OPERATORS  # here, so that pytest can import this file

    for operator in OPERATORS:
        plugin.register(operator)
