"""The wheel and the source distribution: what is in them, and that what they install runs."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tinyvae import __version__

ROOT = Path(__file__).parents[1]
LARGEST_WHEEL = 600_000  # bytes; the code has half of a megabyte, and no data belong beside it


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The paths of a wheel and of a source distribution, built in a copy of what they are made of."""
    folder = tmp_path_factory.mktemp("distributions")
    source = folder / "source"
    ignored = shutil.ignore_patterns(
        ".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "results", "tests", "tutorials", "benchmarks"
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    return build("wheel", source, folder), build("sdist", source, folder)


def build(kind, source, folder):
    """Build a wheel or an sdist of a source tree into a folder; returns its path."""
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


def names(wheel):
    """The files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_small_and_has_every_module_and_the_published_points(distributions):
    wheel, _ = distributions
    assert wheel.name == f"tinyvae-{__version__}-py3-none-any.whl" and wheel.stat().st_size < LARGEST_WHEEL
    found = names(wheel)
    wanted = [*ROOT.glob("tinyvae/**/*.py"), *ROOT.glob("tinyvae/papers/published/*.csv"), ROOT / "tinyvae/py.typed"]
    wanted += ROOT.glob("tinyvae/explorer/sources/*")
    assert {str(path.relative_to(ROOT)) for path in wanted} == {name for name in found if name.startswith("tinyvae/")}


def test_the_source_distribution_builds_the_same_wheel(distributions, tmp_path):
    wheel, sdist = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    assert all((source / name).exists() for name in ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"))
    assert names(build("wheel", source, tmp_path)) == names(wheel)


def test_the_oldest_dependencies_are_those_that_setup_py_names(distributions):
    for document in ("CONTRIBUTING.md", ".github/workflows/test.yml"):
        (line,) = [line for line in (ROOT / document).read_text().splitlines() if "sed -n" in line]
        oldest = subprocess.run(
            line.split(" > ")[0], shell=True, cwd=ROOT, capture_output=True, text=True
        ).stdout.split()
        with zipfile.ZipFile(distributions[0]) as wheel:
            metadata = wheel.read(f"tinyvae-{__version__}.dist-info/METADATA").decode()
        needed = re.findall(r"^Requires-Dist: (\S+?)>=([0-9.]+)(?!.*extra ==)", metadata, re.MULTILINE)
        assert len(needed) > 10 and sorted(oldest) == sorted(f"{name}=={number}.*" for name, number in needed)


@pytest.mark.slow  # all is compiled for it
def test_what_is_installed_runs_without_the_repository(distributions, tmp_path):
    """The wheel's own files on the path, in an empty folder: training, and the published points."""
    wheel, _ = distributions
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import tinyvae; assert 'site' in tinyvae.__file__, tinyvae.__file__\n"
        "from tinyvae import train; from tinyvae.papers import published\n"
        "assert len(published.aevb('mnist', 3, 'test')[0]) > 10\n"
        "sys.exit(train.main(['digits', '--epochs', '1', '--hidden', '20']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test bound" in done.stdout and (tmp_path / "runs/digits/checkpoint.npz").exists()
