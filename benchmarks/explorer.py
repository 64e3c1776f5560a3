"""The explorer's page in a headless Chromium: how soon it is there, what an evaluation takes, and pictures a second.

A pointer goes round on the map, a step for each frame of the browser, and what is counted are the pictures decoded and
drawn. Needs the extra "browser", pip install ".[browser]".

examples:
  python -m benchmarks.explorer runs/mnist/explorer.html
  python -m benchmarks.explorer a.html b.html --seconds 5
"""

from pathlib import Path

from benchmarks.browser import chromium
from tinyvae.cli import console
from tinyvae.errors import UserError

EVALUATION = """() => { const { model, latent, state } = window.tinyvae, z = latent(), n = 50;
const took = work => { work(0); const start = performance.now(); for (let i = 0; i < n; i++) work(i / n);
  return (performance.now() - start) / n; };
const x = Float64Array.from({ length: model.D }, (_, d) => ((7919 * d) % 13) / 13);
return { decode: took(t => { z[0] = t; model.decode(z, state.y); }),
  encode: took(() => model.encode(x, state.y)) }; }"""
DRAG = """async seconds => { const map = document.getElementById("map"), box = map.getBoundingClientRect();
const at = (type, a) => map.dispatchEvent(new PointerEvent(type, { pointerId: 1, bubbles: true,
  clientX: box.left + box.width * (0.5 + 0.3 * Math.cos(a)),
  clientY: box.top + box.height * (0.5 + 0.3 * Math.sin(a)) }));
map.setPointerCapture = () => {}; map.hasPointerCapture = () => true;
const draw = CanvasRenderingContext2D.prototype.putImageData; let pictures = 0;
CanvasRenderingContext2D.prototype.putImageData = function (...all) {
  pictures += this.canvas.id === "picture"; return draw.apply(this, all); };
at("pointerdown", 0); const start = performance.now();
await new Promise(done => { const step = () => { const t = (performance.now() - start) / 1000;
  at("pointermove", 3 * t); if (t < seconds) requestAnimationFrame(step); else done(); };
  requestAnimationFrame(step); });
return pictures / ((performance.now() - start) / 1000); }"""


def main(argv=None):
    """Open each page and print what it takes."""
    parser = console.Parser("python -m benchmarks.explorer", __doc__)
    parser.add_argument("pages", nargs="+", type=console.path, metavar="PAGE", help="made by tinyvae.explore")
    parser.add_argument("--seconds", type=console.rate, default=3, metavar="S", help="of the drag [3]")
    arguments = parser.parse_args(argv)
    if missing := [str(page) for page in arguments.pages if not page.is_file()]:
        raise UserError(f"{missing[0]}: there is no such file\nMake it by python -m tinyvae.explore.")
    with chromium() as browser:
        rows = [measure(browser, page, arguments.seconds) for page in arguments.pages]
    print(console.table(rows))
    return 0


def measure(browser, path, seconds):
    """What one page takes."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(Path(path).absolute().as_uri())
    opened = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.wait_for_timeout(1000)
    spent, pictures = page.evaluate(EVALUATION), page.evaluate(DRAG, seconds)
    page.close()
    return {
        "page": str(path),
        "megabytes": round(Path(path).stat().st_size / 1e6, 2),
        "opens in ms": round(opened),
        "decode ms": round(spent["decode"], 2),
        "encode ms": round(spent["encode"], 2),
        "pictures/s": round(pictures, 1),
    }


if __name__ == "__main__":
    console.run(main)
