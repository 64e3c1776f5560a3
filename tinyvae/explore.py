"""Make a page of a trained model, to explore its latent space in a browser: one file, without a server or a network.

examples:
  python -m tinyvae.explore runs/mnist                     writes runs/mnist/explorer.html
  python -m tinyvae.explore runs/mnist --out page.html
  python -m tinyvae.explore runs/mnist --with-images       test images stand in the page too, beside reconstructions
"""

import os

from tinyvae.cli import console


def main(argv=None):
    """Load the run and its data, round the weights, and write the page."""
    arguments = parse(argv)
    from tinyvae.disk.files import atomic_write, require_writable
    from tinyvae.disk.run import EXPLORER, Run
    from tinyvae.explorer import layout, page
    from tinyvae.training import opening

    run = Run.open(arguments.run)
    out = arguments.out or run.path / EXPLORER
    require_writable(out)
    console.require_free(out, arguments.overwrite)
    layout.require_served(opening.load_fitted(run.path).model)  # which needs no data
    console.announce_compilation(arguments.quiet)
    training = opening.load(run, arguments.data_dir, arguments.threads)
    name = os.path.basename(os.path.abspath(run.path))
    with training.crew:
        content, cost = page.content(training, name, run.history(), arguments.points, arguments.with_images)
    html = page.assemble(content).encode(errors="replace")  # a folder's name may be no text
    with atomic_write(out) as file:
        file.write(html)
    if not arguments.quiet:
        print(report(out, len(html), content, cost))
    return 0


def parse(argv):
    """The arguments."""
    parser = console.Parser("python -m tinyvae.explore", __doc__)
    parser.add_argument("run", type=console.path, help="the folder of a training run")
    parser.add_argument("--out", type=console.path, metavar="FILE", help="the page [explorer.html in the run's folder]")
    parser.add_argument(
        "--with-images",
        action="store_true",
        help="embed the test images themselves; without it the page holds no image of the data",
    )
    parser.add_argument(
        "--points", type=console.positive, default=2000, metavar="n", help="the first n test examples on the map [2000]"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the page that is there")
    parser.add_argument(
        "--data-dir", type=console.path, metavar="DIR", help="with the data [$TINYVAE_DATA, then the cache]"
    )
    parser.add_argument("--threads", type=console.threads, metavar="T", help="[the cores this process may use]")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser.parse_args(argv)


def report(path, size, content, cost):
    """What was written, in words."""
    points = content["points"]
    widths = sorted(set(cost.bits.values()))
    wider = [f"{name} {bits} bits" for name, bits in cost.bits.items() if bits > widths[0]]
    more = f" ({', '.join(wider)})" if wider else ""
    images = f"{points['count']} test images" if "images" in points else "no image of the data"
    labels = "" if points["labels"] is None else ", and their labels"
    nats = round(cost.nats, 3) + 0.0  # not -0.000
    lines = [
        f"{path}: {size:,} bytes; open it in a browser",
        console.paragraph(
            "weights",
            f"rounded to {widths[0]} bits{more}, which costs {nats:.3f} nats of "
            f"the test bound (standard error {cost.error:.3f}, {cost.examples} test examples)",
        ),
        console.paragraph(
            "data   ", f"the places of {points['count']} test examples in the latent space{labels}; {images}"
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    console.run(main)
