"""The detail-embed plugin for FiftyOne."""


def register(plugin):
    """Registers the plugin's operators and its panel."""
    from .operators import OPERATORS, PANELS  # here, so that pytest can import this

    for part in (*OPERATORS, *PANELS):
        plugin.register(part)
