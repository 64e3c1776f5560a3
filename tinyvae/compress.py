"""Compress images with a trained model, losslessly: the file is as long as the model's bound says.

examples:
  python -m tinyvae.compress runs/mnist mnist --binarise --out mnist.tvz     the test images, pixels drawn once
  python -m tinyvae.compress runs/photos photos --part all --out photos.tvz
  python -m tinyvae.compress runs/mine my_images.npy --out my_images.tvz
  python -m tinyvae.decompress my_images.tvz --out again.npy
"""

import json
import os
import time
from pathlib import Path

from tinyvae.cli import console, options
from tinyvae.disk.files import atomic_write, require_writable
from tinyvae.errors import DataError
from tinyvae.settings import DATASETS

LEVELS_0_AND_1 = "If its 1 means white, and not the grey level 1 of 255, save it as bool: x.astype(bool)"


def main(argv=None):
    """Load the run and the images, write the archive, and say what its bits are spent on."""
    arguments = parse(argv)
    require_writable(arguments.out)
    console.require_free(arguments.out, arguments.overwrite)
    from tinyvae import machine
    from tinyvae.coding import lossless
    from tinyvae.coding.bitsback import BitsBack
    from tinyvae.coding.symbols import OffLevels
    from tinyvae.disk.run import Run
    from tinyvae.training import opening

    fitted = opening.load_fitted(arguments.run)
    code, threads = BitsBack(fitted.model, fitted.params), arguments.threads or machine.available_cores()
    images = read(arguments)
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
        help="by the split of a training; all is the training images, then the test images, of a file its images in "
        "their order [test of a data set with a name, else all]",
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
    """The images that the arguments name, (N, ...): all of a file in their own order, shape and type."""
    import numpy as np

    from tinyvae.data import datasets, formats

    source, reading, part = arguments.data, (arguments.size, arguments.grey, arguments.skip_broken), arguments.part
    path = Path(os.path.expanduser(source))
    whole = part == "all" and source not in DATASETS and not any(reading)
    if whole and os.path.isfile(path) and path.suffix.lower() in datasets.READERS:
        with formats.explained(path, datasets.ACCEPTED):
            return np.asarray(datasets.READERS[path.suffix.lower()](path)[0])
    dataset = datasets.load(source, arguments.data_dir, None, *reading)
    pieces = {"test": [dataset.test], "train": [dataset.train], "all": [dataset.train, dataset.test]}[part]
    return np.concatenate([np.asarray(piece) for piece in pieces]).reshape(-1, *dataset.data_shape)


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
        raise DataError(f"{LEVELS_0_AND_1}: nothing is to be drawn then")
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
    return "\nThe nearest of the levels 0, 1/255, ..., 1 are np.rint(255 * x).astype(np.uint8)."


def figures(code, fitted, protocol, images, done, seconds):
    """What the archive is, what its bits are spent on, and what others make of the same images; for JSON."""
    from tinyvae.coding import others
    from tinyvae.coding.accounting import account
    from tinyvae.coding.pixels import CODERS

    numbers, size, settings = done.levels.size, len(done.content), fitted.settings
    bits = account(code, fitted.params, done.levels, done.encoded, size)
    spent = {"net": bits.net, "total": bits.total, **bits._asdict()}
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
        "objective": "elbo" if settings.samples == 1 else settings.objective,  # of one sample all bounds are the ELBO
        "bits_per_dimension": spent,
        "others": {name: 8 * other / numbers for name, other in compared.items()},
    }


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
            "  bound": "-ELBO, at the samples of z that were coded",
            "  cells": "z in cells, and their rounding",
            "  precision": "probabilities and message in whole numbers",
            "initial": "random bits that the first images use up",
            "container": "header, digests, ends",
            "total": "the file",
        }
        lines += [f"  {name:12s}{bits[name.strip()]:9.5f}  {text}" for name, text in words.items()]
        if results["objective"] != "elbo":
            lines.append(f"  the run maximised another bound, {results['objective']}: a file pays the ELBO")
    lines.append("  others      " + ", ".join(f"{name} {value:.3f}" for name, value in others.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
