"""Medians and spreads, and where they are kept: with the machine and the command that they belong to."""

import json
import platform
import shlex
import statistics
import subprocess
import sys
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy  # noqa: F401  (loads its BLAS, for ``machine`` to name)
import scipy.linalg  # noqa: F401  (loads the BLAS of tinyvae's kernels)
from threadpoolctl import threadpool_info

from tinyvae.disk.files import atomic_write, explained, require_writable
from tinyvae.errors import RunError
from tinyvae.machine import available_cores

PACKAGES = ("tinyvae", "numpy", "scipy", "numba", "jax", "torch")


def summary(values):
    """What is said of one number a round: {"median", "lowest", "highest", "rounds"}, the last all of them in order."""
    values = list(values)
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "rounds": values}


def ratios(rates, numerator="tinyvae"):
    """Round by round, since neighbours in time saw the same machine; a median of ratios, not a ratio of medians.

    Args:
        rates: {name: [a number each round]}.
        numerator: one of the names.

    Returns: {other name: summary of numerator / other}.
    """
    others = (name for name in rates if name != numerator)
    return {other: summary(a / b for a, b in zip(rates[numerator], rates[other], strict=True)) for other in others}


def machine():
    """The processor, the cores that this process may use, and the versions of all that takes part (None: missing)."""
    blas = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    versions = {package: _version(package) for package in PACKAGES}
    return {
        "cpu": _cpu(),
        "cores": available_cores(),
        "blas": sorted(blas),
        "python": platform.python_version(),
    } | versions


def read(path, overwrite=False):
    """What a file of results holds; nothing if it is not there yet, or is of another machine and may be replaced.

    Raises: RunError if it is not one, could not be written, or holds what another machine, or other versions, measured:
        best asked before the measurement.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    require_writable(path)
    if not path.exists():
        return {}
    with explained(path, "read"):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        results = json.loads(text)
    except ValueError as error:
        raise RunError(f"{path}: it is not valid JSON ({error})\nName another --out.") from None
    if not isinstance(results, dict):
        raise RunError(f"{path}: it should hold an object in braces\nName another --out.")
    if results.get("machine") == machine():
        return results
    if not overwrite:
        raise RunError(
            f"{path}: it has what another machine, or other versions, measured\n"
            "Name another --out, or have it replaced with --overwrite."
        )
    return {}


def store(path, section, entries):
    """Add to a file of results, which begins anew if those in it are of another machine or of other versions.

    Args:
        path: Path of the JSON file.
        section: "workloads" or "cliff".
        entries: {name: result} to be added to the section.
    """
    results = {"machine": machine()} | read(path, overwrite=True)
    results[section] = results.get(section, {}) | entries
    with atomic_write(path) as file:
        file.write(json.dumps(results, indent=1).encode() + b"\n")


def origin(module, argv):
    """What a measurement is known by later.

    Args:
        module: name of the module that measures.
        argv: its arguments (those of this process, if None).

    Returns: {"command": the command line, "date": today, year first, "commit": that of the code, with "-dirty" where
    files differ from it (None where there is no repository, or no Git)}.
    """
    command = shlex.join(["python", "-m", module, *(sys.argv[1:] if argv is None else argv)])
    return {"command": command, "date": date.today().isoformat(), "commit": _commit()}


def describe(machine):
    """What ``machine`` returned, in one line."""
    versions = (f"{package} {machine[package]}" for package in ("python", *PACKAGES) if machine[package])
    return f"{machine['cpu']}, {machine['cores']} cores; {', '.join([*versions, *machine['blas']])}"


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit():
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        asked = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no such program
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def _cpu():
    """The processor's name, where the system tells; else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
