"""Compress images with a trained model, losslessly: the file is about as long as the model's bound says.

examples:
  python -m tinyvae.compress runs/mnist mnist --binarise --out mnist.tvz     the test images, pixels drawn once
  python -m tinyvae.compress runs/photos photos --part all --out photos.tvz
  python -m tinyvae.compress runs/mine my_images.npy --out my_images.tvz
  python -m tinyvae.decompress my_images.tvz --out again.npy
"""

import json
import math
import os
import sys
import time
from pathlib import Path

from tinyvae.cli import console, options
from tinyvae.disk.files import atomic_write, require_writable
from tinyvae.errors import DataError
from tinyvae.settings import DATASETS

LEVELS_0_AND_1 = (
    "Its levels are 0 and 1. If 1 means white, save it as bool: x.astype(bool). If it means the grey level 1 of 255, "
    "save it as floats: x / 255"
)


def main(argv=None):
    """Load the run and the images, write the archive, and say what its bits are spent on."""
    arguments = parse(argv)
    require_writable(arguments.out)
    console.require_free(arguments.out, arguments.overwrite)
    console.require_other(arguments.out, os.path.expanduser(arguments.data))
    from tinyvae import machine
    from tinyvae.coding import lossless
    from tinyvae.coding.bitsback import BitsBack
    from tinyvae.coding.symbols import OffLevels
    from tinyvae.disk.run import Run
    from tinyvae.training import opening

    fitted = opening.load_fitted(arguments.run)
    code, threads = BitsBack(fitted.model, fitted.params), arguments.threads or machine.available_cores()
    images, notes = read(arguments)
    for note in () if arguments.quiet else notes:
        print(f"note: {note}", file=sys.stderr)
    console.announce_compilation(arguments.quiet)
    try:
        lossless.require_images(images, fitted.model)
        if arguments.binarise:
            images = drawn(images, arguments.seed or 0)
        start = time.perf_counter()
        with console.sample_bar(len(images), arguments.quiet, " images") as bar:
            done = lossless.compress(code, images, os.path.abspath(arguments.run), threads, bar.update)
    except OffLevels as error:
        raise DataError(f"{arguments.data}: {error}{advice(fitted, images)}") from None
    except DataError as error:
        raise DataError(f"{arguments.data}: {error}") from None
    seconds = time.perf_counter() - start
    with atomic_write(arguments.out) as file:
        file.write(done.content)
    if arguments.quiet and not arguments.json:
        return 0
    if not arguments.json:  # at once: what the others make of it can take long
        print(f"{arguments.out}: {len(done.content):,} bytes for {len(images):,} images, {seconds:.1f} s", flush=True)
    about = {name: getattr(arguments, name) for name in ("data", "part", "binarise")}
    about |= {"seed": arguments.seed or 0} if arguments.binarise else {}
    protocol = str(Run.open(arguments.run).config().get("protocol") or "not known")
    results = about | figures(code, fitted, protocol, images, done, seconds)
    print(json.dumps(results, indent=2) if arguments.json else report(results))
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.compress", __doc__)
    parser.add_argument("run", type=console.path, help="the folder of a training run")
    parser.add_argument("data", help="as the train command takes them: a name, a file, a folder")
    parser.add_argument("--out", type=console.path, required=True, metavar="FILE", help="the archive, FILE.tvz")
    parser.add_argument(
        "--part",
        choices=("test", "train", "all"),
        help="by the split of a training; all is the training images, then the test images, of a file or a folder of "
        "pictures its images in their order [test of a data set with a name, else all]",
    )
    parser.add_argument("--binarise", action="store_true", help="draw each pixel, by its grey level, and compress that")
    parser.add_argument("--seed", type=console.seed, metavar="S", help="of --binarise [0]")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that --out names")
    parser.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="with the data [$TINYVAE_DATA, then the cache]"
    )
    parser.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")
    parser.add_argument("--json", action="store_true", help="print all figures instead of words")
    parser.add_argument("--quiet", action="store_true", help="print errors only, and what --json asks for")
    options.add_pictures(parser.add_argument_group("a folder of pictures"))
    arguments = parser.parse_args(argv)
    if arguments.seed is not None and not arguments.binarise:
        parser.error("--seed is that of the draws, and nothing is drawn without --binarise")
    arguments.part = arguments.part or ("test" if arguments.data in DATASETS else "all")
    return arguments


def read(arguments):
    """The images that the arguments name, (N, ...), of a file in its own order, shape and type; and notes on them.

    They are in memory, all of them: of a file that changes while it is coded the digest would be of other images.
    """
    import numpy as np

    from tinyvae.data import datasets, formats, rows

    source, reading, part = arguments.data, (arguments.size, arguments.grey, arguments.skip_broken), arguments.part
    path = Path(os.path.expanduser(source))
    whole = part == "all" and source not in DATASETS and not any(reading)
    if whole and os.path.isfile(path) and path.suffix.lower() in datasets.READERS:
        with formats.explained(path, datasets.ACCEPTED):
            x, y, others = datasets.READERS[path.suffix.lower()](path)
            others = [*others, *["y"] * (y is not None)]
            notes = [f"{formats.listed(others)} of {path.name}: not in the archive"] if others else []
            return (np.asarray(rows.select(x, np.arange(len(x)))) if x.ndim else x), notes
    dataset = datasets.load(source, arguments.data_dir, None, *reading)
    pieces = {"test": [dataset.test], "train": [dataset.train], "all": [dataset.train, dataset.test]}[part]
    images = np.concatenate([np.asarray(piece) for piece in pieces]).reshape(-1, *dataset.data_shape)
    if part == "all" and dataset.pictures is not None:
        images = datasets.unsplit(images)
    return images, dataset.notes


def drawn(images, seed):
    """Each pixel 1 with its grey level as the probability: bool. The noise is that of an image's place, and so the test
    images of a set are, with the seed 0, those that all runs have.

    Raises: DataError (the reason alone) for what are no grey levels.
    """
    from tinyvae.coding.symbols import name_of
    from tinyvae.data.datasets import Dataset
    from tinyvae.training.binarisation import binarise

    if not name_of(images.dtype):
        raise DataError(f"its numbers are of type {images.dtype}: grey levels are uint8, or floats from 0 to 1")
    lowest, highest = images.min(), images.max()
    if images.dtype.kind == "f" and not (lowest >= 0 and highest <= 1):  # also where they are no numbers
        raise DataError(
            f"its values go from {lowest:g} to {highest:g}, and probabilities lie between 0 and 1: rescale the data"
        )
    if images.dtype == "uint8" and highest == 1:
        raise DataError(LEVELS_0_AND_1)
    rows = images.reshape(len(images), -1)
    dataset = Dataset("it", rows[:0], rows, None, None, images.shape[1:], "")
    return binarise(dataset, "dynamic", seed, test_seed=seed).test.reshape(images.shape)


def advice(fitted, images):
    """What to do about values that the run's likelihood has no levels for, on lines of its own."""
    from tinyvae.settings import LIKELIHOODS

    if images.dtype == "uint8" and images.max() == 1:
        return f"\n{LEVELS_0_AND_1}"
    if LIKELIHOODS[fitted.settings.likelihood].levels == 2:
        return (
            "\nA Bernoulli gives probabilities to 0 and 1 alone: have each pixel drawn with --binarise, and the draws "
            "compressed, or take a run with --likelihood logistic, which has 256 grey levels."
        )
    lowest, highest = images.min(), images.max()
    if lowest >= 0 and highest <= 1:
        return "\nThe nearest of the levels 0, 1/255, ..., 1 are np.rint(255 * x).astype(np.uint8)."
    if lowest >= 0 and highest <= 255:
        return "\nIf its levels go from 0 to 255, save them as bytes: np.rint(x).astype(np.uint8)."
    return f"\nIts values go from {lowest:g} to {highest:g}: bring them to the levels 0, 1/255, ..., 1."


def figures(code, fitted, protocol, images, done, seconds):
    """What the archive is, what its bits are spent on, and what others make of the same images; for JSON."""
    from tinyvae.coding import others
    from tinyvae.coding.accounting import account
    from tinyvae.coding.pixels import CODERS

    numbers, size, settings = done.levels.size, len(done.content), fitted.settings
    bits = account(code, fitted.params, done.levels, done.encoded, size)
    spent = {name: value if math.isfinite(value) else None for name, value in bits._asdict().items()}  # as JSON has it
    if not done.coded:  # what was coded is not in the file
        spent |= dict.fromkeys(("net", "cells", "precision", "initial", "container"), None)
    compared = others.sizes(done.levels, CODERS[settings.likelihood].levels, fitted.data_shape)
    return {
        "images": len(images),
        "shape": list(images.shape[1:]),
        "dtype": images.dtype.name,
        "bytes": size,
        "coded": done.coded,
        "seconds": seconds,
        "protocol": protocol,
        "objective": objective(settings),
        "bits_per_dimension": spent,
        "others": {name: 8 * other / numbers for name, other in compared.items()},
    }


def objective(settings):
    """What a run maximised, in words; of one sample all bounds are the ELBO."""
    aids = [f"beta {settings.beta:g}"] * (settings.beta != 1) + [f"free bits {settings.free_bits:g}"] * bool(
        settings.free_bits
    )
    bound = "elbo" if settings.samples == 1 else settings.objective
    return f"{bound} with {' and '.join(aids)}" if aids else bound


def report(results):
    """The figures in words."""
    bits, others = results["bits_per_dimension"], results["others"]
    part = {"test": "the test images of ", "train": "the training images of ", "all": "all of "}[results["part"]]
    how = f", each pixel drawn once with the seed {results['seed']}" if results["binarise"] else ""
    lines = [
        console.paragraph("images  ", f"{part}{results['data']}{how}"),
        console.paragraph("run     ", results["protocol"]),
    ]
    if not results["coded"]:
        lines.append("  the images stand in it as they are: by this model they would take more")
    else:
        words = {
            "net": "bits per dimension, by which the file grows with the images:",
            "  bound": "-ELBO, at a sample of z from each cell that was coded",
            "  cells": "z in cells, and their rounding",
            "  precision": "probabilities and message in whole numbers",
            "initial": "random bits that the first images use up",
            "container": "header, digests, ends",
            "total": "the file",
        }
        lines += [f"  {name:12s}{written(bits[name.strip()]):>9s}  {text}" for name, text in words.items()]
        if results["objective"] != "elbo":
            lines.append(f"  the run maximised another bound, {results['objective']}: a file pays the ELBO")
    lines.append("  others      " + ", ".join(f"{name} {value:.3f}" for name, value in others.items()))
    return "\n".join(lines)


def written(bits):
    """A number of bits for each dimension."""
    return "infinite" if bits is None else f"{bits:.5f}"


if __name__ == "__main__":
    console.run(main)
