"""The documents' figures are those of the files that they name."""

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.commands import call
from tinyvae import reproduce
from tinyvae.data import sequences
from tinyvae.papers import grammar_vae
from tinyvae.papers.experiments import EXPERIMENTS
from tinyvae.papers.published import aevb
from tinyvae.papers.report import Size
from tinyvae.settings import Settings
from tinyvae.training.evaluation import ACTIVE
from tinyvae.training.protocol import protocol

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
THRESHOLDS = (0.005, 0.01, 0.02, 0.05)


def table(path):
    with (ROOT / "results" / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(text, beginning):
    """The cells of the rows of a Markdown document's tables that begin so."""
    lines = re.findall(rf"^\| ({beginning}.*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def evaluations():
    files = sorted((ROOT / "results/runs").glob("*/evaluation.json"))
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def counts(evaluation, threshold):
    """Units whose posterior mean varies by more than a threshold, as in 21+5 for two layers."""
    return "+".join(str(np.sum(np.array(layer) > threshold)) for layer in evaluation["posterior_mean_variance"])


def test_the_counts_of_active_units_under_each_threshold():
    text = (ROOT / "results/README.md").read_text(encoding="utf-8")
    written = {name.strip("`"): numbers for name, *numbers in rows(text, "`(?:iwae|vae)-")}
    ours = {name: [counts(evaluation, t) for t in THRESHOLDS] for name, evaluation in evaluations().items()}
    assert written == ours and ACTIVE in THRESHOLDS


def test_where_the_threshold_is_delicate_it_is_said():
    delicate = evaluations()["iwae-1-k50"]
    at_both = [counts(delicate, t) for t in (0.01, 0.05)]
    assert at_both == ["46", "26"] and "the IWAE with k = 50 has 46 at 0.01 and 26 at 0.05" in README
    assert "published counts are approximate" in " ".join(README.split())


def test_iwae_s_table():
    written = [(c[0], c[1], c[4], c[5], c[6], c[7], c[8]) for c in rows(README, r"[12] \| \d+")]
    names = ("stochastic_layers", "k", "epochs", "nll", "active_units", "published_nll", "published_active_units")
    ours = [
        tuple(f"{float(row[n]):.2f}" if n.endswith("nll") else row[n] for n in names)
        for name in ("vae-vs-iwae", "one-vs-two-layers")
        for row in table(f"{name}/table.csv")
    ]
    for name, model in (("iwae-1-k1-3280", ("1", "1")), ("iwae-2-best-k1", ("2", "1")), ("iwae-2-best-k5", ("2", "5"))):
        longer, short = evaluations()[name], next(row for row in ours if row[:2] == model)
        nll = f"{-longer['log_likelihood']:.2f}"
        ours.append((*model, f"{longer['epochs']:,}", nll, counts(longer, ACTIVE), *short[-2:]))
    assert len(written) == 12 and set(written) == set(ours)
    assert f"{-evaluations()['iwae-best-k5-standard']['log_likelihood']:.2f}" == "86.61" and "came to 86.61" in README


def test_three_seeds_of_a_row():
    runs = [evaluations()[f"iwae-1-k1{seed}"] for seed in ("", "-seed-1", "-seed-2")]
    values = [-run["log_likelihood"] for run in runs]
    assert "{:.2f} with seed 0, {:.2f} and {:.2f} with seeds".format(*values) in README
    assert f"a standard deviation of {np.std(values, ddof=1):.2f}" in README
    difference = np.subtract(runs[2]["each"], runs[1]["each"])
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert f"the last is {difference.mean():.2f} ± {error:.2f}\nabove the one before" in README
    assert [f"{run['standard_error']:.2f}" for run in runs] == ["0.24"] * 3
    assert {(run["epochs"], run["samples"], run["n_images"]) for run in runs} == {(121, 5000, 10_000)}
    assert len({run["protocol"].partition(", seed")[0] for run in runs[1:]}) == 1


def test_the_table_of_an_hour():
    """Of the rows that name a run: log p(x) with its standard error, and the ELBO."""
    written = re.findall(r"\(`results/runs/([\w-]+)`\) \| ([\d.]+) ± ([\d.]+) \| ([\d.]+) \|", README)
    assert len(written) == 2
    for name, *numbers in written:
        own = evaluations()[name]
        assert numbers == [f"{x:.2f}" for x in (-own["log_likelihood"], own["standard_error"], -own["elbo"])]
        assert (own["samples"], own["n_images"]) == (5000, 10_000)
    ours, longest = (np.array(evaluations()[name]["each"]) for name, *_ in written)
    difference = ours - longest
    words = f"better than the second by {difference.mean():.2f} ± {difference.std(ddof=1) / np.sqrt(10_000):.2f} nats"
    assert words in " ".join(README.split())
    for name, *_ in written:
        summary = json.loads((ROOT / f"results/runs/{name}/summary.json").read_text(encoding="utf-8"))
        assert f"(`results/runs/{name}`)" in README and f"| {summary['seconds'] / 60:.0f} minutes |" in README


@pytest.mark.parametrize(("data", "folder", "digits"), [("MNIST", "aevb-mnist", 1), ("Frey faces", "aevb-frey", 0)])
def test_aevb_s_table(data, folder, digits):
    """Within half of the last digit that is written (and that of the file, which is rounded too)."""
    ends = {row["n_latent"]: row for row in table(f"{folder}/ends.csv") if row["run"].startswith("aevb")}
    ends["20, our recipe"] = next((row for row in table(f"{folder}/ends.csv") if row["run"] == "best-20"), None)
    written = rows(README, f"{data}, ")
    assert len(written) == len([row for row in ends.values() if row])
    for first, examples, *numbers in written:
        row = ends[first.removeprefix(f"{data}, ").split(" (")[0]]
        assert 0.99 < float(row["samples_seen"]) / float(examples.replace("10^", "1e")) < 1.01
        for number, name in zip(numbers, ("test_bound", "train_bound", "published_test_bound"), strict=True):
            assert float(number.split(",")[0]) == pytest.approx(float(row[name]), abs=0.5 * 10**-digits + 0.006)


def test_what_falls_short_of_the_published_bounds_on_mnist():
    readme = " ".join(README.split())
    ends = {int(row["n_latent"]): row for row in table("aevb-mnist/ends.csv") if row["run"].startswith("aevb")}
    theirs = [
        f"{np.interp(8, np.log10(seen), bounds):.1f}" for seen, bounds in (aevb("mnist", n, "train") for n in ends)
    ]
    words = "The published training bounds of 3, 5, 10, 20 and 200 dimensions are {}, {}, {}, {} and {} after 10^8"
    assert list(ends) == [3, 5, 10, 20, 200] and words.format(*theirs) in readme
    below = {n: float(row["published_test_bound"]) - float(row["test_bound"]) for n, row in ends.items()}
    assert max(below[n] for n in ends if n != 3) < 0.7 and "the others are within 0.7 of theirs, or above" in readme
    highest, at, error = (float(ends[3][name]) for name in ("highest_test_bound", "highest_at", "test_standard_error"))
    assert f"was highest, {highest:.1f}, after {at / 1e7:.1f} x 10^7 examples" in readme
    assert f"ends {below[3]:.1f} nats below the published one (with a standard error of {error:.1f})" in readme


def test_what_the_first_commands_take_and_come_to():
    for name, words in (("mnist", "|"), ("mnist-conv", "| `--network conv`")):
        run = json.loads((ROOT / f"results/runs/{name}/summary.json").read_text(encoding="utf-8"))
        assert f"{words} | {run['epochs']} | {run['seconds']:.0f} | {run['test_bound']:.1f} |\n" in README


def test_what_the_papers_trainings_take():
    hours = {}
    for name in ("aevb-mnist", "vae-vs-iwae", "one-vs-two-layers"):
        plans = EXPERIMENTS[name].plans(Size(examples=10**8))
        files = [ROOT / "results/runs" / plan.name / "summary.json" for plan in plans]
        hours[name] = sum(json.loads(file.read_text(encoding="utf-8"))["seconds"] for file in files) / 3600
    said = (
        "about {aevb-mnist:.0f} hours for `aevb-mnist --examples 100000000`, {vae-vs-iwae:.1f} for `vae-vs-iwae` and "
    )
    assert (said + "{one-vs-two-layers:.1f} for `one-vs-two-layers`").format(**hours) in " ".join(README.split())


def test_what_was_tried_for_three_dimensions():
    readme = " ".join(README.split())

    def bounds(name, epoch):
        row = table(f"runs/aevb-mnist-3{name}/history.csv")[epoch - 1]
        return f"{float(row['test_bound']):.1f} and {float(row['train_bound']):.1f}"

    theirs = [
        np.interp(np.log10(3e6), np.log10(seen), at) for seen, at in (aevb("mnist", 3, s) for s in ("test", "train"))
    ]
    published = "the published test bound is above the training bound, {:.1f} and {:.1f}".format(*theirs)
    assert f"{published}, and ours is below, {bounds('', 50)}." in readme
    assert (
        f"A step of 0.01 makes {bounds('-step-01', 50)} of these, narrow first weights {bounds('-narrow', 50)}"
        in readme
    )
    last = len(table("runs/aevb-mnist-3-map/history.csv"))
    assert f"of which {last} were done" in readme
    with_prior = f"the bounds are {bounds('-map', last)} after {last * 6 / 1000:.1f} x 10^7 examples"
    assert f"{with_prior}; without it they were {bounds('', last)}" in readme


def test_aevb_s_figure_on_mnist_is_drawn_from_the_runs_that_are_kept(tmp_path):
    words = ("aevb-mnist", "--examples", 10**8, "--runs", ROOT / "results/runs", "--out", tmp_path, "--quiet")
    assert call(*words, main=reproduce.main).returncode == 0
    for name in ("bounds.csv", "ends.csv", "protocol.json"):
        assert (tmp_path / "aevb-mnist" / name).read_bytes() == (ROOT / "results/aevb-mnist" / name).read_bytes()


def test_where_the_bounds_on_the_frey_faces_end_and_turn_down():
    """Also how high they were, what they are beside the published ones at the end, and all that with another step."""
    readme, ends = " ".join(README.split()), table("aevb-frey/ends.csv")
    assert [row["n_latent"] for row in ends] == ["2", "5", "10", "20"]

    def above(split):
        """Our bounds at the end less the published ones."""
        for row in ends:
            seen, bounds = aevb("frey", int(row["n_latent"]), split)
            yield round(float(row[f"{split}_bound"]) - bounds[seen.index(10**8)])

    training = list(above("train"))
    assert training == [76, 24, -2, 0] and "better than the published ones, by 76 nats" in readme
    assert "their training bounds are 24 nats above these, 2 below and equal" in readme
    assert list(above("test")) == [-71, -3, -16, 2] and "their test bound ends 71 below (with a" in readme
    assert "their test bounds 3 and 16 below and 2 above" in readme
    errors = [round(float(row["test_standard_error"])) for row in ends]
    assert errors == [51, 28, 31, 27] and "(with a standard error of 51)" in readme
    assert "a standard error of 28, 31 and 27" in readme
    turned = [row["turned_down_at"] and f"{float(row['turned_down_at']) / 1e7:.1f}" for row in ends]
    assert turned == ["3.5", "5.7", "", ""] and "turn down after 3.5 and 5.7 x 10^7 examples" in readme
    highest = [round(float(row["highest_test_bound"])) for row in ends[:2]]
    assert highest == [863, 1123] and "having been at 863 and 1123 at most" in readme
    assert [f"{float(row['published_highest_at']):.1e}" for row in ends] == ["3.2e+08", "1.0e+08", "7.5e+07", "7.5e+07"]

    other = table("aevb-frey-step-02/ends.csv")
    assert [round(float(row["test_bound"])) for row in other] == [794, 1021, 1271, 1299]
    assert "end at 794, 1021, 1271 and 1299" in readme
    turned = [f"{float(row['turned_down_at']) / 1e7:.1f}" for row in other]
    assert (min(turned), max(turned)) == ("2.1", "4.6") and "between 2.1 and 4.6 x 10^7" in readme
    assert {row["samples_seen"] for row in [*ends, *other]} == {"100001616"}

    epochs, examples = 57, 1768
    first = [
        round(float(row["train_bound"]))
        for folder in ("aevb-frey", "aevb-frey-step-02")
        for row in table(f"{folder}/bounds.csv")
        if row["n_latent"] == "20" and row["samples_seen"] == str(epochs * examples)
    ]
    words = f"after {epochs} epochs of 20 dimensions the training bound is {{}} with it, and {{}} with 0.02"
    assert words.format(*first) in readme


def test_the_protocols_are_those_of_the_settings_beside_them():
    """In the words of this version, whichever made the run."""
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "results").glob("*/protocol.json")]
    configs = [config for run in runs for config in run["runs"].values()]
    for folder in (ROOT / "results/runs").iterdir():
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        configs.append(config)
        for file in folder.glob("*.json"):
            assert json.loads(file.read_text(encoding="utf-8"))["protocol"] == config["protocol"], file
    for config in configs:
        about = {"pictures": None, "vocabulary": None} | config["dataset"]
        vocabulary = about["vocabulary"] and sequences.from_json(about["vocabulary"])
        dataset = SimpleNamespace(limit=about["limit"], pictures=about["pictures"], vocabulary=vocabulary)
        assert config["protocol"] == protocol(Settings.from_dict(config["settings"]), dataset)
    assert len(configs) > 40


def test_the_digits_as_a_file():
    """The row of the convolutional network, whose run has kept what the compress command printed."""
    found = json.loads((ROOT / "results/runs/vae-conv/compression.json").read_text(encoding="utf-8"))
    bits, others, ((_, *cells),) = found["bits_per_dimension"], found["others"], rows(README, "the same, convolutional")
    ours = [f"{bits[name]:.4f}" for name in ("bound", "net", "total")]
    assert cells == ours + [f"{others[name]:.3f}" for name in ("bz2", "LZMA", "PNG")]
    assert (found["images"], found["objective"]) == (10_000, "elbo") and bits["net"] < 1.005 * bits["bound"]
    summary = json.loads((ROOT / "results/runs/vae-conv/summary.json").read_text(encoding="utf-8"))
    assert f"{summary['seconds'] / 60:.0f} minutes on one busy core" in README


def test_the_table_of_speeds():
    workloads = json.loads((ROOT / "results/bench.json").read_text(encoding="utf-8"))["workloads"]
    written = rows(README, "(?:VAE 784|IWAE 784|the same, K)")
    assert len(written) == len(workloads)
    for (_, *cells), workload in zip(written, workloads.values(), strict=True):
        speeds = [workload["examples_per_second"][name]["median"] for name in ("tinyvae", "jax", "torch", "sgemm")]
        ratios = [workload["ratios"][name]["median"] for name in ("jax", "torch", "sgemm")]
        assert [float(cell.replace(",", "")) for cell in cells[:4]] == pytest.approx(speeds, rel=0.01)
        assert cells[4:] == [f"{ratio:.2f}" for ratio in ratios]
        assert min(ratios[:2]) > 1  # "each of the four steps that were measured is faster"


def test_the_table_of_few_labels():
    """Within half of the last digit, and that of the file."""
    ours = json.loads((ROOT / "results/few_labels.json").read_text(encoding="utf-8"))["rows"]
    written = rows(README, r"[12]0 \| 1,?0")
    for cells, row in zip(written, ours, strict=True):
        assert cells[:2] == [str(row["components"]), f"{row['labels']:,}"]
        figures = [float(number) for cell in cells[2:] for number in cell.split(" ± ")]
        wanted = [row[f"{name}{which}"] for name in ("pca", "vae", "vae - pca") for which in ("", ", standard error")]
        assert figures == pytest.approx(wanted, abs=0.056)


def test_the_convolutional_step():
    found = json.loads((ROOT / "results/bench_conv.json").read_text(encoding="utf-8"))
    conv, share = found["workloads"]["conv"], found["cliff"]["conv"]["share"]["median"]
    speed, ratios = conv["examples_per_second"]["tinyvae"]["median"], conv["ratios"]
    text = README.replace("\n", " ")
    assert f"{round(speed, -1):,.0f} examples a second, {ratios['torch']['median']:.2f} times PyTorch's" in text
    assert f"{ratios['jax']['median']:.0f} times JAX's with its own convolutions" in text
    assert f"{ratios['sgemm']['median']:.2f} of SGEMM alone, and {share:.2f} of its speed beside two busy" in text


def test_the_tables_of_the_grammar():
    likelihoods, validity = (
        {row["model"]: row for row in table(f"grammar-vae/{name}.csv")} for name in ("likelihood", "validity")
    )
    names = {"rules": "rules", "characters": "characters", "rules, the decoder told the rule before": "feedback"}
    written = [cells for cells in rows(README, "(?:rules|characters)") if len(cells) == 8]
    assert [cells[0] for cells in written] == list(names)
    for name, *cells in written:
        row, valid = likelihoods[names[name]], validity[names[name]]
        held_out, of_all = (
            f"{float(row[key]):.3f} ({float(row[error]):.3f})"
            for key, error in (("nll", "standard_error"), ("nll_of_all", "standard_error_of_all"))
        )
        numbers = f"{float(row['minus_elbo']):.3f}", f"{float(row['kl']):.2f}", row["active_units"]
        assert cells[:5] == [held_out, of_all, *numbers]
        assert float(cells[5].removesuffix(" %")) == pytest.approx(100 * float(valid["valid"]), abs=0.05)
        assert float(cells[6].removesuffix(" %")) == pytest.approx(100 * float(valid["reconstructed_at_the_mean"]))
    searches = {f"{row['model']}, {row['search']}": row for row in table("grammar-vae/optimisation.csv")}
    for name, row in searches.items():
        ((_, best, mean, solved, target),) = rows(README, name)
        assert best == f"{float(row['best_mean']):.3f} ± {float(row['best_spread']):.3f}"
        assert mean == f"{float(row['mean_score']):.2f} ± {float(row['mean_score_spread']):.2f}"
        assert [cell.split()[0] for cell in (solved, target)] == [row["solved"], row["found_target"]]
    compared = [
        {name: str(value) for name, value in row.items()}
        for row in grammar_vae.comparison(table("grammar-vae/searches.csv"))
    ]
    assert compared == table("grammar-vae/published.csv")
    names = {"points_with_an_expression": ("with an expression", 3), "mean_score_of_these": ("mean score of these", 2)}
    for quantity, (name, digits) in names.items():
        ((_, *cells),) = rows(README, name)
        assert cells == [
            f"{float(row[mean]):.{places}f} ± {float(row[spread]):.{places}f}"
            for row in compared
            if row["quantity"] == quantity
            for mean, spread, places in (("ours", "ours_spread", digits), ("published", "published_spread", 2))
        ]


def test_what_latent_spaces_have_found():
    text = README.replace("\n", " ")
    flat, tsne, deep = (f"{100 * float(row['knn_accuracy']):.1f} %" for row in table("latent-space/separation.csv"))
    words = f"to {flat} in the two-dimensional latent space, to {deep} in the 20-dimensional one, and to {tsne} in its"
    assert words in text
    (ours, share), (theirs, other) = (
        (f"{float(row['hue_r2']):.3f}", f"{100 * float(row['label_accuracy']):.0f} %")
        for row in table("coloured-digits/factors.csv")
    )
    assert f"an R² of {ours} and the right digit for {share}" in text
    assert f"principal components give with {theirs} and for {other}" in text


def test_the_bits_of_photographs():
    found = {row["model"].removeprefix("VAE, "): row["bits_per_dimension"] for row in table("photos/bits.csv")}
    ((_, bound, *_, png),) = rows(README, "416 test patches")
    assert (bound, png) == (found["-ELBO"], found["PNG"])
    written = [cells[-1] for name in ("-log p.x., by", "-ELBO", "a Gaussian with full") for cells in rows(README, name)]
    assert written == [found[name] for name in ("-log p(x)", "-ELBO", "one Gaussian")]
