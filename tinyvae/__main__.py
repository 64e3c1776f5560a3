"""``python -m tinyvae``: the commands, a line each."""

import difflib
import sys

from tinyvae import __version__
from tinyvae.cli import console

COMMANDS = {
    "train": "train a model on MNIST, Frey faces, digits or images of your own",
    "evaluate": "estimate log p(x) of a trained model, and count its active units",
    "compare": "compare trained models image by image",
    "explore": "make a page on which to explore a trained model in a browser",
    "compress": "compress images with a trained model, as far as its bound says",
    "decompress": "have compressed images back, to the last bit",
    "reproduce": "make a figure or a table of the papers, from the data to the picture",
    "gradcheck": "check every hand-written derivative against finite differences",
    "bench": "measure the speed of training and evaluation on this machine",
}


def main(argv=None):
    """List the commands; a name that is given is not run, but pointed to."""
    names = sys.argv[1:] if argv is None else argv
    if not names or names[0] in ("-h", "--help"):
        print(f"tinyvae {__version__}: variational autoencoders with every derivative written out by hand\n")
        for name, line in COMMANDS.items():
            print(f"  python -m tinyvae.{name:10s} {line}")
        print("\nEach has --help. To begin: python -m tinyvae.train digits")
        return 0
    if names[0] == "--version":
        print(__version__)
        return 0
    nearest = difflib.get_close_matches(names[0], COMMANDS, 1)
    advice = f"write python -m tinyvae.{nearest[0]}" if nearest else "python -m tinyvae lists the commands"
    print(f"python -m tinyvae: the commands are modules of their own: {advice}, not {names[0]}", file=sys.stderr)
    return console.MISUSE


if __name__ == "__main__":
    console.run(main)
