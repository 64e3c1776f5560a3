"""Write scikit-learn's handwritten digits as an .npz file: an example of how tinyvae takes your own images.

    python data_scripts/make_digits.py digits.npz
    python -m tinyvae.train digits.npz

The file holds x (1797, 8, 8) float32, the grey levels 0 to 16 divided by 16, and y (1797,) int64, the digits 0 to 9.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from tinyvae.cli import console
from tinyvae.disk.files import atomic_write, require_writable


def main():
    """Run the command."""
    parser = console.Parser("python data_scripts/make_digits.py", __doc__)
    parser.add_argument("file", type=Path, nargs="?", default=Path("digits.npz"), help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there")
    arguments = parser.parse_args()
    path = arguments.file
    if path.suffix != ".npz":
        parser.error(f"the file's name must end in .npz, not as in {path}")
    require_writable(path)
    console.require_free(path, arguments.overwrite)
    digits = load_digits()
    with atomic_write(path) as stream:
        np.savez_compressed(stream, x=(digits.images / 16).astype(np.float32), y=digits.target.astype(np.int64))
    print(path)


if __name__ == "__main__":
    console.run(main)
