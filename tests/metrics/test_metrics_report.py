"""What a reader sees: the class is named, the binning stated, the accuracy never alone."""

from pathlib import Path

import numpy as np
import pytest

from mednb import metrics
from mednb.metrics.classification import evaluate
from mednb.metrics.figures import PER_CLASS
from mednb.metrics.intervals import Estimate
from mednb.metrics.table import Table, shown


def report(task, **options):
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 3
    score = rng.dirichlet(np.ones(3), size=60)
    if task == "binary":
        truth, score = np.minimum(truth, 1), score[:, 0]
    elif task == "multi-label":
        truth = (truth[:, None] == np.arange(3)).astype(int)
    return evaluate(truth, score, task=task, replicates=100, **options)


def test_the_positive_class_is_named():
    named = report("binary", classes=("benign", "malignant"), groups=np.arange(60) // 2)
    assert repr(named).startswith(
        "n = 60 in 30 groups (binary, positive class malignant), 95 % intervals\n  AUC       0."
    )
    assert "Positive class: malignant, 66.7% of the cases." in repr(named.table())
    nameless = report("binary")
    assert nameless.positive is None
    assert "Positive class: number 1 (name it with classes=...), 66.7%" in repr(nameless.table())
    assert "Positive class" not in repr(report("ordinal").table())


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("binary", "10 equally wide bins of the probability of the positive class"),
        ("ordinal", "10 equally wide bins of the highest probability"),
        ("multi-class", "10 equally wide bins of the highest probability"),
        ("multi-label", "10 equally wide bins of the probability of each label, mean over labels"),
    ],
)
def test_the_table_holds_every_figure_and_states_the_binning(task, says):
    found = report(task)
    text = repr(found.table())
    assert says in text
    figures = {name: f for name, f in vars(found).items() if isinstance(f, Estimate)}
    # Over several classes F1 is their mean already.
    if task != "binary":
        assert figures.pop("f1_macro") == figures["f1"]
    assert len(found.table().rows) == len(figures)
    for figure in figures.values():
        assert shown(figure) in text
    assert "does not mean certainty" not in text


def test_the_class_table_has_a_row_for_each_class_with_its_prevalence():
    found = report("multi-class", classes=("a", "b", "c"))
    table = found.class_table()
    assert [row[:2] for row in table.rows] == [("a", "33.3%"), ("b", "33.3%"), ("c", "33.3%")]
    for row in table.rows:
        assert row[2:] == tuple(shown(found.per_class[row[0]][f], 2) for f in PER_CLASS)


def test_a_table_prints_and_shows():
    table = Table("Title", ("Figure", "Value"), (("AUC", "0.9"), ("accuracy", "0.85")), ("Note.",))
    assert repr(table).splitlines() == [
        "Title",
        "  Figure    Value",
        "  AUC       0.9",
        "  accuracy  0.85",
        "Note.",
    ]
    assert table._repr_markdown_().splitlines() == [
        "**Title**",
        "",
        "| Figure | Value |",
        "|:--|:--|",
        "| AUC | 0.9 |",
        "| accuracy | 0.85 |",
        "",
        "Note.  ",
    ]


def test_an_estimate_is_shown_with_its_interval():
    assert shown(Estimate(0.9141, 0.86, 0.9512)) == "0.914 (0.860 to 0.951)"
    assert shown(Estimate(0.9141, 0.86, 0.9512), 1) == "0.9 (0.9 to 1.0)"
    assert shown(None) == "-"


def test_every_module_is_exported():
    modules = {path.stem for path in Path(metrics.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(metrics.__all__) == modules
    for name in metrics.__all__:
        module = getattr(metrics, name)
        assert all(hasattr(module, public) for public in module.__all__), name
