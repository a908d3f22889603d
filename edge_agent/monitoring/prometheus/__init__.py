"""An endpoint for Prometheus with the figures of ``metrics`` and ``health``.

Nothing is imported here: the configuration reads the settings even where the extra ``prometheus`` is not installed.
"""
