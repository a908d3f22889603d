"""Runs a benchmark with the kernels of a processor that has no AVX-512 and no VNNI, at the speed of this one.

``python -m benchmarks.avx2_only device --seconds 60``, and so on.

LiteRT chooses its kernels by CPUID, and has no switch. So a copy of its libraries asks a handler instead, which answers
without wide vectors; OpenCV and NumPy have switches. Needs gcc and binutils, and an x86-64 processor. The kernels are
those of an older processor; caches, clock and memory remain those of this one.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
PACKAGE, DISTRIBUTION = "ai_edge_litert", "ai-edge-litert"

_CPUID, _ILLEGAL = b"\x0f\xa2", b"\x0f\x0b"
_QUESTION = re.compile(r"^\s*([0-9a-f]+):\tcpuid", re.MULTILINE)
_SEGMENT = re.compile(r"LOAD\s+0x(\w+)\s+0x(\w+)\s+0x\w+\s+0x(\w+)")

_SWITCHES = {
    "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX512-COMMON,AVX512-ICL,AVX512-CLX",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512CD,-AVX512DQ",
}


def main(arguments: list[str]) -> int:
    """Run ``python -m benchmarks`` with ``arguments``; returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="leukoscope-avx2-") as name:
        folder = Path(name)
        library = folder / "avx2_only.so"
        _output("gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE))
        _copy_runtime(folder)
        path = os.pathsep.join(filter(None, (name, os.environ.get("PYTHONPATH"))))
        environment = {**os.environ, **_SWITCHES, "LD_PRELOAD": str(library), "PYTHONPATH": path}
        return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], env=environment, check=False).returncode


def _copy_runtime(folder: Path) -> None:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(f"{DISTRIBUTION} is not installed")
    place = Path(found.origin).parent
    shutil.copytree(place, folder / PACKAGE)
    # The version that reports contain.
    shutil.copytree(Path(str(metadata.distribution(DISTRIBUTION)._path)), folder / f"{DISTRIBUTION}.dist-info")  # type: ignore[attr-defined]  # noqa: SLF001 - no public name for it
    for library in (folder / PACKAGE).glob("*.so"):
        _ask_by_illegal_instruction(library)


def _ask_by_illegal_instruction(library: Path) -> None:
    """Replace every cpuid instruction of a library. Only disassembling the library finds them."""
    code = _output("objdump", "-d", "--no-show-raw-insn", str(library))
    headers = _output("readelf", "-lW", str(library))
    segments = [tuple(int(each, 16) for each in found) for found in _SEGMENT.findall(headers)]
    content = bytearray(library.read_bytes())
    for address in (int(each, 16) for each in _QUESTION.findall(code)):
        offset = next(file + address - start for file, start, size in segments if start <= address < start + size)
        if content[offset : offset + 2] != _CPUID:
            raise SystemExit(f"{library.name}: no cpuid at {address:#x}")
        content[offset : offset + 2] = _ILLEGAL
    library.write_bytes(content)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
