"""An endpoint for Prometheus with the figures of ``metrics`` and ``health``.

Nothing is imported here: the configuration needs the settings also where the extra ``prometheus`` is not installed.
"""
