"""The command line of the benchmarks."""

from __future__ import annotations

from benchmarks import kmeans, quality
from benchmarks.app import app

__all__ = ["kmeans", "quality"]

if __name__ == "__main__":
    app()
