"""Decompress an archive of the compress command, to the last bit.

examples:
  python -m tinyvae.decompress mnist.tvz --out mnist.npy
  python -m tinyvae.decompress mnist.tvz --out mnist.npy --run elsewhere/mnist     where the run has moved to
  python -m tinyvae.decompress mnist.tvz --out mnist.npy --overwrite --quiet
"""

from pathlib import Path

from tinyvae.cli import console
from tinyvae.disk.files import atomic_write, explained, open_ordinary, require_writable
from tinyvae.errors import DataError, RunError, UserError

RUNS = Path("runs")


def main(argv=None):
    """Read the archive, find the run that it was made with, decode, and write the array."""
    arguments = parse(argv)
    require_writable(arguments.out)
    console.require_free(arguments.out, arguments.overwrite)
    import numpy as np

    from tinyvae import machine
    from tinyvae.coding import lossless
    from tinyvae.coding.archive import Archive

    cure = "Name an archive that the compress command has written."
    with explained(arguments.archive, "read", cure), open_ordinary(arguments.archive) as file:
        content = file.read()
    console.announce_compilation(arguments.quiet)
    try:
        archive = Archive.from_bytes(content)
        code = find(archive, arguments.run) if archive.coded else None
        threads = arguments.threads or machine.available_cores()
        with console.sample_bar(archive.shape[0], arguments.quiet, " images") as bar:
            images = lossless.decompress(archive, code, threads, bar.update)
    except DataError as error:
        raise DataError(f"{arguments.archive}: {error}\nNothing was written.") from None
    except MemoryError:
        raise DataError(
            f"{arguments.archive}: its images, {archive.shape} of {archive.dtype}, are more than fits into the memory\n"
            "Nothing was written. Decompress it on a larger machine."
        ) from None
    with atomic_write(arguments.out) as file:
        np.save(file, images, allow_pickle=False)
    if not arguments.quiet:
        print(f"{arguments.out}: {images.dtype} {images.shape}, as it was compressed")
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.decompress", __doc__)
    parser.add_argument("archive", type=console.path, help="what the compress command wrote")
    parser.add_argument("--out", type=console.path, required=True, metavar="FILE", help="the array, FILE.npy")
    parser.add_argument(
        "--run", type=console.path, metavar="DIR", help="with the model [where it was, then each of runs/*]"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file that --out names")
    parser.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser.parse_args(argv)


def find(archive, given):
    """The model that an archive was made with, as a code: in the run that is given, else where it was, else in runs/*.

    Raises: RunError if it is in none of these, with what is there.
    """
    from tinyvae.coding.bitsback import BitsBack
    from tinyvae.training import opening

    reasons, named = [], [Path(archive.run)] if archive.run else []
    for path in [given] if given else dict.fromkeys([*named, *sorted(RUNS.glob("*"))]):
        try:
            fitted = opening.load_fitted(path)
            code = BitsBack(fitted.model, fitted.params)
        except UserError as error:
            if given:
                raise
            reasons += [str(error).split("\n")[0]] if path in named else []
            continue
        if code.digest == archive.model:
            return code
        reasons.append(f"{path} holds another model, or has been trained further")
    why = "; ".join(reasons) or "it names no run, and there is none in runs/"
    why = "".join(letter if letter.isprintable() else "?" for letter in why)  # who made the file chose its words
    raise RunError(
        f"the model that the archive was made with ({archive.model[:12]}...) is not there: {why}\n"
        "Name the folder of its run with --run."
    )


if __name__ == "__main__":
    console.run(main)
