"""The file descriptor itself matters, so each case runs in its own process."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60, check=False)


def test_loading_a_model_writes_nothing() -> None:
    """The notice comes from native code, where neither ``sys.stderr`` nor an environment variable reaches it."""
    done = run("""
        from edge_agent.inference import Classifier, load_bundle
        for _ in range(2):
            Classifier(load_bundle("demo"))
        """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("raises", ["", "raise KeyError"])
def test_all_lines_but_the_noise_come_out_in_order(raises: str) -> None:
    done = run(f"""
        import contextlib, os, re, sys
        from edge_agent.inference.native_stderr import stderr_without
        print("before", file=sys.stderr)
        with contextlib.suppress(KeyError), stderr_without(re.compile(rb"INFO: noise")):
            os.write(2, b"INFO: noise\\nERROR: first\\nINFO: noise and more\\n")
            print("from Python", file=sys.stderr)
            os.write(2, b"without an end")
            {raises}
        print(" after", file=sys.stderr)
        """)
    assert done.stderr.splitlines() == [
        "before",
        "ERROR: first",
        "INFO: noise and more",
        "from Python",
        "without an end after",
    ]


def test_threads_that_load_at_the_same_time_leave_stderr_as_it_was() -> None:
    done = run("""
        import sys, threading
        from edge_agent.inference import Classifier, load_bundle
        threads = [threading.Thread(target=lambda: Classifier(load_bundle("demo"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("still here", file=sys.stderr)
        """)
    assert (done.returncode, done.stderr) == (0, "still here\n")


def test_a_closed_stderr_is_no_obstacle() -> None:
    done = run("""
        import os
        os.close(2)
        from edge_agent.inference import Classifier, load_bundle
        Classifier(load_bundle("demo"))
        print("loaded")
        """)
    assert (done.returncode, done.stdout) == (0, "loaded\n")
