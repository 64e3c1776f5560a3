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
    console.require_other(arguments.out, arguments.archive)
    import numpy as np

    from tinyvae import machine
    from tinyvae.coding import lossless
    from tinyvae.coding.archive import MAGIC, Archive

    cure = "Name an archive that the compress command has written."
    try:
        with explained(arguments.archive, "read", cure), open_ordinary(arguments.archive) as file:
            content = file.read(len(MAGIC))
            if content == MAGIC:  # else it is none, and may be of any size
                content += file.read()
        archive = Archive.from_bytes(content)
        console.announce_compilation(arguments.quiet)
        code = find(archive, arguments.run) if archive.coded else None
        threads = arguments.threads or machine.available_cores()
        with console.sample_bar(archive.shape[0], arguments.quiet, " images") as bar:
            images = lossless.decompress(archive, code, threads, bar.update)
    except DataError as error:
        raise DataError(f"{arguments.archive}: {error}\nNothing was written.") from None
    except MemoryError:
        raise DataError(
            f"{arguments.archive}: it and its images are more than fits into the memory\n"
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

    reasons, others, unread, named = [], 0, [], [Path(archive.run)] if archive.run else []
    for path in [given] if given else dict.fromkeys([*named, *sorted(RUNS.glob("*"))]):
        is_named = bool(given) or path in named
        try:
            fitted = opening.load_fitted(path)
            code = BitsBack(fitted.model, fitted.params)
        except RunError as error:
            if given:
                raise
            reasons += [str(error).split("\n")[0]] if is_named else []
            unread += [] if is_named else [path.name]
            continue
        except UserError:
            if given:
                raise
            others += 1
            continue
        if code.digest == archive.model:
            return code
        reasons += [f"{path} holds another model, or has been trained further"] if is_named else []
        others += not is_named
    reasons += [f"{others} of {RUNS}/ hold{'s' * (others == 1)} other models"] if others else []
    reasons += [f"of {RUNS}/ there could not be opened {', '.join(unread[:5])}"] if unread else []
    why = "; ".join(reasons) or "it names no run, and there is none in runs/"
    why = "".join(letter if letter.isprintable() else "?" for letter in why)  # who made the file chose its words
    raise RunError(
        f"the model that the archive was made with ({archive.model[:12]}...) is not there: {why}\n"
        "Name the folder of its run with --run."
    )


if __name__ == "__main__":
    console.run(main)
