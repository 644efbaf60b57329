"""A model card and a reporting checklist, filled in from results; what nobody said stays open.

The checklist asks, in our own words, what TRIPOD+AI and CLAIM want to read in a report of a
diagnostic model. It does not replace them: it shows how much of a report a program can write, and
how much only a person can.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mednb.metrics.calibration import Reliability
from mednb.metrics.decision import AtThreshold
from mednb.metrics.intervals import Estimate, mean_interval
from mednb.metrics.report import Report
from mednb.metrics.table import Table, shown
from mednb.types import Dataset

__all__ = ["ITEMS", "OPEN", "Checklist", "Item", "Study", "checklist", "model_card"]

#: Stands where no result answers a question.
OPEN = "OPEN"


@dataclass(frozen=True)
class Study:
    """An evaluation as its report needs it. Whatever is None stays open.

    Parameters
    ----------
    name
        Of the model.
    report
        Figures on the test split.
    data
        The data set: splits, unit, licence, source.
    model, intended_use, preparation, code
        One sentence each: what it is, who may use it on whom, what happens to an image before the
        model sees it, where the code is.
    operating, why
        What the chosen threshold does on the test split, and the rule it was chosen by.
    before, after
        Reliability on the test split, before and after a calibration fitted on validation.
    control
        AUC of the same pipeline on shuffled labels.
    subgroups
        Name -> figure of the cases of a subgroup.
    subgroup_figure
        Which figure that is, such as ``"sensitivity"``.
    seeds
        Test AUC of each repetition of the training.
    limitations
        What the study does not show, one sentence each.
    """

    name: str
    report: Report
    data: Dataset | None = None
    model: str | None = None
    intended_use: str | None = None
    preparation: str | None = None
    code: str | None = None
    operating: AtThreshold | None = None
    why: str | None = None
    before: Reliability | None = None
    after: Reliability | None = None
    control: Estimate | None = None
    subgroups: Mapping[str, Estimate] | None = None
    subgroup_figure: str = "sensitivity"
    seeds: Sequence[float] | None = None
    limitations: Sequence[str] = ()


@dataclass(frozen=True)
class Item:
    """One question of the checklist.

    Parameters
    ----------
    where
        The guideline, with its item number or section.
    question
        What it wants to know, in our words.
    answer
        Takes a study; None when the study does not say. Without a function only a person can
        answer.
    """

    where: str
    question: str
    answer: Callable[[Study], str | None] = lambda study: None


@dataclass(frozen=True)
class Checklist:
    """Questions with their answers; None is open.

    Parameters
    ----------
    name
        Of the model.
    rows
        (guideline, question, answer or None).
    """

    name: str
    rows: tuple[tuple[str, str, str | None], ...]

    @property
    def open(self) -> tuple[str, ...]:
        """The questions without an answer."""
        return tuple(question for _, question, answer in self.rows if answer is None)

    def table(self) -> Table:
        """Return the checklist as a table; open questions say so."""
        rows = tuple((where, question, answer or OPEN) for where, question, answer in self.rows)
        note = (
            f"{len(self.rows) - len(self.open)} of {len(self.rows)} answered from results. "
            f"{len(self.open)} are open: a person has to answer them, or say why not."
        )
        return Table(
            f"Reporting checklist: {self.name}", ("Where", "Question", "Answer"), rows, (note,)
        )


def checklist(study: Study) -> Checklist:
    """Answer :data:`ITEMS` from a study.

    Parameters
    ----------
    study
        What is known. Nothing is invented: an item without a result stays open.

    References
    ----------
    Collins et al., TRIPOD+AI statement, BMJ 385:e078378 (2024); Tejani et al., CLAIM 2024 update,
    Radiology: Artificial Intelligence 6:e240300 (2024). Notebook 05 fills one in.
    """
    return Checklist(
        study.name, tuple((item.where, item.question, item.answer(study)) for item in ITEMS)
    )


def model_card(study: Study) -> Table:
    """Return the page that travels with a model: what it is for, how good, and for whom not shown.

    References
    ----------
    Mitchell et al., Model cards for model reporting, FAT* (2019), arXiv:1810.03993. Notebook 05.
    """
    report = study.report
    rows = {
        "Model": study.model,
        "Intended use": study.intended_use,
        "Input": _input(study),
        "Output": _output(study),
        "Data": _source(study),
        "Splits": _splits(study),
        "Test cases": _size(study),
        "Discrimination": _discrimination(study),
        "Threshold": _operating(study),
        "Calibration": _calibration(study),
        "Subgroups": _subgroups(study),
        "Repetitions": _seeds(study),
        "Negative control": _control(study),
        "Limitations": " ".join(study.limitations) or None,
        "Contact, version, date": None,
    }
    left = sum(text is None for text in rows.values())
    note = f"{left} of {len(rows)} fields are open. {_level(report)} intervals."
    return Table(
        f"Model card: {study.name}",
        ("Field", "Content"),
        tuple((name, text or OPEN) for name, text in rows.items()),
        (note,),
    )


def _level(report: Report) -> str:
    return f"{100 * report.auc.level:g} %"


def _input(study: Study) -> str | None:
    if study.data is None:
        return study.preparation
    shape = " x ".join(str(n) for n in study.data.train.images.shape[1:])
    return f"image of {shape}" + (f"; {study.preparation}" if study.preparation else "")


def _output(study: Study) -> str | None:
    names = list(study.report.prevalence)
    if study.report.task == "binary":
        return f"probability of {study.report.positive}" if study.report.positive else None
    return f"a probability for each of {', '.join(names)}"


def _source(study: Study) -> str | None:
    data = study.data
    if data is None:
        return None
    kind = "simulated" if data.simulated else "real"
    return f"{data.name} ({kind}), {data.source}; licence: {data.license}"


def _splits(study: Study) -> str | None:
    data = study.data
    if data is None:
        return None
    return (
        f"split by {data.unit}: {len(data.train)} train, {len(data.val)} validation, "
        f"{len(data.test)} test; shared groups or images: refused when loaded"
    )


def _size(study: Study) -> str:
    report = study.report
    return f"{report.n} cases in {report.n_groups} groups; " + _prevalence(study)


def _prevalence(study: Study) -> str:
    shares = [f"{name} {share:.1%}" for name, share in study.report.prevalence.items()]
    return ", ".join(shares)


def _discrimination(study: Study) -> str:
    report = study.report
    return (
        f"AUC {shown(report.auc, 2)}, balanced accuracy {shown(report.balanced_accuracy, 2)}, "
        f"average precision {shown(report.average_precision, 2)}"
    )


def _operating(study: Study) -> str | None:
    at = study.operating
    if at is None:
        return None
    why = f" ({study.why})" if study.why else ""
    return (
        f"{at.threshold:.3f}{why}: sensitivity {shown(at.sensitivity, 2)}, specificity "
        f"{shown(at.specificity, 2)}, PPV {shown(at.ppv, 2)}"
    )


def _calibration(study: Study) -> str | None:
    if study.before is None and study.after is None:
        return None
    parts = [
        f"{name} {found.ece:.3f}"
        for name, found in (("as trained", study.before), ("calibrated", study.after))
        if found is not None
    ]
    return f"ECE ({len((study.before or study.after).n)} bins): " + ", ".join(parts)  # type: ignore[union-attr]


def _subgroups(study: Study) -> str | None:
    if not study.subgroups:
        return None
    each = [f"{name} {shown(value, 2)}" for name, value in study.subgroups.items()]
    return f"{study.subgroup_figure}: " + ", ".join(each)


def _seeds(study: Study) -> str | None:
    if study.seeds is None or len(study.seeds) < 2:
        return None
    return (
        f"AUC over {len(study.seeds)} trainings: mean {shown(mean_interval(study.seeds), 3)}, "
        f"{min(study.seeds):.3f} to {max(study.seeds):.3f}"
    )


def _control(study: Study) -> str | None:
    return None if study.control is None else f"shuffled labels: AUC {shown(study.control, 2)}"


def _width(study: Study) -> str:
    auc = study.report.auc
    return f"{_size(study)}; they give the AUC to within {(auc.high - auc.low) / 2:.3f}"


def _reference(study: Study) -> str | None:
    if study.data is not None and study.data.simulated:
        return "known exactly: the images are simulated"
    return None


def _ethics(study: Study) -> str | None:
    if study.data is not None and study.data.simulated:
        return "no person was examined: the images are simulated"
    return None


def _measures(study: Study) -> str:
    return (
        f"AUC, balanced accuracy, average precision, Brier score {shown(study.report.brier, 3)}, "
        f"log loss, calibration error; {_level(study.report)} intervals drawn by group"
    )


#: What the checklist asks. Numbers of TRIPOD+AI are its items; of CLAIM, its sections.
ITEMS: tuple[Item, ...] = (
    Item("TRIPOD+AI 3b", "Who shall use it, on whom, at which step?", lambda s: s.intended_use),
    Item("TRIPOD+AI 3c", "Which inequalities of care are known for this disease?"),
    Item("TRIPOD+AI 5a", "Where do the data come from, under which licence?", _source),
    Item("TRIPOD+AI 5b", "When were the images taken?"),
    Item("TRIPOD+AI 6a", "Which hospitals, how many, what level of care?"),
    Item("TRIPOD+AI 6b", "Who was included, who was left out?"),
    Item("TRIPOD+AI 7", "What happens to an image before the model sees it?", _input),
    Item("TRIPOD+AI 8", "How was the truth found out?", _reference),
    Item("TRIPOD+AI 10", "How many cases, and how exact does that make the result?", _width),
    Item("TRIPOD+AI 11", "What was missing, and what was done about it?"),
    Item("TRIPOD+AI 12", "How were the data split, and by which unit?", _splits),
    Item("TRIPOD+AI 12", "Which model, built how?", lambda s: s.model),
    Item("TRIPOD+AI 12", "Which figures, with which intervals?", _measures),
    Item("TRIPOD+AI 13", "How rare is the positive class here?", _prevalence),
    Item("TRIPOD+AI 14", "Is it as good in every subgroup?", _subgroups),
    Item("TRIPOD+AI 15", "What is put out, and which threshold, chosen how?", _operating),
    Item("TRIPOD+AI 16", "How do the test patients differ from those of the training?"),
    Item("TRIPOD+AI 17", "Who approved the study?", _ethics),
    Item("TRIPOD+AI 18", "Who paid, and who has an interest?"),
    Item("TRIPOD+AI 18", "Where is the code?", lambda s: s.code),
    Item("TRIPOD+AI 20", "Who are the patients: age, sex, origin, severity?"),
    Item("TRIPOD+AI 23", "How good is it, with intervals?", _discrimination),
    Item("TRIPOD+AI 23", "Do the probabilities hold?", _calibration),
    Item(
        "TRIPOD+AI 26", "What does the study not show?", lambda s: " ".join(s.limitations) or None
    ),
    Item("CLAIM reference standard", "Who drew or read the truth, and did they agree?"),
    Item("CLAIM training", "How much does the result change when trained again?", _seeds),
    Item("CLAIM robustness", "Which control could have embarrassed the result?", _control),
    Item("CLAIM testing", "Was it tested at another hospital?"),
    Item("CLAIM performance", "Which cases does it get wrong, and why?"),
)
