"""Download MNIST (11 MB), or check the copy that is there.

    python data_scripts/fetch_mnist.py                      into the user's cache folder, where tinyvae looks anyway
    python data_scripts/fetch_mnist.py --data-dir FOLDER    into FOLDER/mnist; then set TINYVAE_DATA=FOLDER

Prints where the four files lie. On failure it says why and ends with status 2.
"""

from tinyvae.cli import console
from tinyvae.data import downloads


def main():
    """Run the command."""
    parser = console.Parser("python data_scripts/fetch_mnist.py", __doc__)
    parser.add_argument(
        "--data-dir", type=console.path, metavar="FOLDER", help="where to store it (default: the cache folder)"
    )
    print(*downloads.fetch("mnist", parser.parse_args().data_dir), sep="\n")


if __name__ == "__main__":
    console.run(main)
