"""The command line of the benchmarks."""

from __future__ import annotations

from benchmarks import kmeans, latency, quality, spool
from benchmarks.app import app

__all__ = ["kmeans", "latency", "quality", "spool"]

if __name__ == "__main__":
    app()
