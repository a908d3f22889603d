"""Tests of what must not happen when everything else goes wrong. ``python -m tests.faults`` is the long form."""
