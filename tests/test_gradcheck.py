"""The gradcheck command's table where an error is no number."""

import json
import math

import numpy as np
import pytest

from tinyvae import gradcheck
from tinyvae.checks import random_problems
from tinyvae.checks.finite_differences import Problem


@pytest.mark.parametrize("error", [math.inf, math.nan])
def test_an_error_that_is_not_finite_is_wrong_and_json_for_strict_readers(error, monkeypatch, capsys):
    problem = Problem("thing", {"a": np.zeros(2)}, None, None)
    monkeypatch.setattr(random_problems, "check_all", lambda seed: [(problem, error)])
    assert gradcheck.main([]) == 1
    assert "1 checked, 1 wrong" in capsys.readouterr().out
    assert gradcheck.main(["--json"]) == 1

    def no_json(word):
        raise ValueError(f"{word} is no JSON")

    (row,) = json.loads(capsys.readouterr().out, parse_constant=no_json)
    assert (row["what"], row["error"], row["ok"]) == ("thing", None, False)
