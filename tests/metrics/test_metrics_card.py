"""Card and checklist say what the results say, and leave open what nobody said."""

from dataclasses import fields, replace

import numpy as np
import pytest

from mednb import simulate
from mednb.metrics import calibration, card, classification, decision
from mednb.metrics.intervals import Estimate
from mednb.types import Dataset, Split


def images(n, start):
    rng = np.random.default_rng(start)
    return Split(
        images=rng.integers(256, size=(n, 8, 9, 1), dtype=np.uint8),
        labels=np.arange(n) % 2,
        groups=np.array([f"patient-{start}-{i}" for i in range(n)]),
    )


@pytest.fixture(scope="module")
def bare():
    s = simulate.scores(60, images=2, seed=3)
    report = classification.evaluate(
        s.labels, s.probability, task="binary", groups=s.groups, classes=("well", "ill")
    )
    return card.Study("net", report)


@pytest.fixture(scope="module")
def full(bare):
    s, other = simulate.scores(60, images=2, seed=3), simulate.scores(60, images=2, seed=4)
    point = decision.operating_point(other.labels, other.probability, groups=other.groups)
    data = Dataset(
        name="set",
        train=images(7, 1),
        val=images(8, 2),
        test=images(9, 3),
        classes=("well", "ill"),
        task="binary",
        positive="ill",
        license="CC BY 4.0",
        source="a clinic",
    )
    return card.Study(
        "net",
        bare.report,
        data=data,
        model="a network",
        intended_use="teaching",
        preparation="scaled",
        code="here",
        operating=point.apply(s.labels, s.probability, groups=s.groups),
        why=point.why,
        before=calibration.reliability(s.labels, s.probability),
        after=calibration.reliability(s.labels, s.probability),
        control=Estimate(0.5, 0.45, 0.55),
        subgroups={"small": Estimate(0.7, 0.6, 0.8)},
        seeds=(0.8, 0.82, 0.81),
        limitations=("One clinic.",),
    )


def cells(table):
    return {row[0]: row[-1] for row in table.rows}


def test_what_nobody_said_is_open(bare):
    found = card.checklist(bare)
    answered = {question for _, question, answer in found.rows if answer is not None}
    assert answered == {
        "How many cases, and how exact does that make the result?",
        "Which figures, with which intervals?",
        "How rare is the positive class here?",
        "How good is it, with intervals?",
    }
    assert len(found.open) == len(card.ITEMS) - 4
    assert sum(row[-1] == card.OPEN for row in found.table().rows) == len(found.open)
    model = cells(card.model_card(bare))
    assert model["Intended use"] == model["Data"] == model["Threshold"] == card.OPEN


def test_numbers_are_those_of_the_results(full):
    model, at, auc = cells(card.model_card(full)), full.operating, full.report.auc
    assert f"AUC {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f})" in model["Discrimination"]
    assert f"{at.threshold:.3f} ({full.why})" in model["Threshold"]
    assert f"sensitivity {at.sensitivity.value:.2f}" in model["Threshold"]
    assert model["Splits"].startswith("split by patient: 7 train, 8 validation, 9 test")
    assert model["Negative control"] == "shuffled labels: AUC 0.50 (0.45 to 0.55)"
    assert model["Subgroups"] == "sensitivity: small 0.70 (0.60 to 0.80)"
    assert model["Repetitions"].startswith("AUC over 3 trainings: mean 0.810")
    assert model["Output"] == "probability of ill"
    assert model["Calibration"].startswith("ECE (10 bins): as trained 0.")
    assert model["Contact, version, date"] == card.OPEN
    assert card.model_card(full).notes == ("1 of 15 fields are open. 95 % intervals.",)


def test_only_a_person_can_answer_some(full):
    found = card.checklist(full)
    assert "Who approved the study?" in found.open
    assert "Was it tested at another hospital?" in found.open
    never = {item.question for item in card.ITEMS if item.answer(full) is None}
    assert set(found.open) == never
    assert found.table().notes[0].startswith(f"{29 - len(never)} of 29 answered")


def test_phantoms_need_no_ethics_vote(full):
    found = card.checklist(replace(full, data=replace(full.data, simulated=True)))
    assert "Who approved the study?" not in found.open


@pytest.mark.parametrize(
    "name", [f.name for f in fields(card.Study) if f.default is None and f.name != "why"]
)
def test_every_field_answers_something(full, name):
    """A field that no card and no checklist shows would be collected for nothing."""
    less = replace(full, **{name: None})
    shown = [str(card.model_card(s)) + str(card.checklist(s).table()) for s in (full, less)]
    assert shown[0] != shown[1]
    assert len(card.checklist(less).open) >= len(card.checklist(full).open)


def test_one_seed_is_no_repetition(full):
    assert cells(card.model_card(replace(full, seeds=(0.8,))))["Repetitions"] == card.OPEN
