"""Packaging of tinyvae: metadata and dependencies (build settings are in pyproject.toml)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "([^"]+)"', (here / "tinyvae/__init__.py").read_text(encoding="utf-8")).group(1)

NOTEBOOKS = ["nbclient>=0.10", "nbformat>=5.9", "ipykernel>=6.25"]
CHECKS = ["ruff>=0.6", "mypy>=1.8"]
TEST = ["pytest>=7.4", "pytest-xdist>=3.2", "hypothesis>=6.90", "pandas>=1.5", "setuptools>=77", *CHECKS, *NOTEBOOKS]
CLUSTER = ["distributed>=2023.1"]
BROWSER = ["playwright>=1.40"]
GRADING = ["nbgrader>=0.9"]
TUTORIALS = ["jupyterlab>=4", "nbconvert>=7", *NOTEBOOKS]

setup(
    name="tinyvae",
    version=version,
    description="Variational autoencoders with every derivative written out by hand, in NumPy and Numba",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="MIT",
    package_data={
        "tinyvae": ["py.typed"],
        "tinyvae.papers.published": ["*.csv"],
        "tinyvae.explorer": ["sources/*"],
    },
    packages=find_packages(include=["tinyvae", "tinyvae.*"]),
    python_requires=">=3.10",
    install_requires=[
        "numpy>=1.24",
        "scipy>=1.10",
        'numba>=0.59; sys_platform != "emscripten"',  # without it the plain twins of the kernels serve
        "matplotlib>=3.7",
        "pillow>=10.1",
        "scikit-learn>=1.6",
        "tqdm>=4.65",
        "threadpoolctl>=3.2",
        "pooch>=1.7",
        "platformdirs>=2.5",
        "joblib>=1.3",
        "filelock>=3.32",  # earlier ones lose the lock of a process that forks
    ],
    extras_require={
        "test": [*TEST, *CLUSTER],
        "browser": BROWSER,
        "cluster": CLUSTER,
        "tutorials": TUTORIALS,
        "grading": GRADING,
        "bench": ["jax", "torch"],
    },
    classifiers=[
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
