"""The official MedMNIST benchmark, to stand beside our own numbers."""

from mednb.errors import UnknownNameError

__all__ = ["METHODS", "medmnist_row"]

#: Methods of the table. "(224)" is the 28-pixel image enlarged to 224, not MedMNIST+ at 224.
METHODS = (
    "ResNet-18 (28)",
    "ResNet-18 (224)",
    "ResNet-50 (28)",
    "ResNet-50 (224)",
    "auto-sklearn",
    "AutoKeras",
    "Google AutoML Vision",
)

#: Data set -> AUC and accuracy of each method, on the official test split, without intervals.
_TABLE = {
    "pathmnist": ".983/.907 .989/.909 .990/.911 .989/.892 .934/.716 .959/.834 .944/.728",
    "chestmnist": ".768/.947 .773/.947 .769/.947 .773/.948 .649/.779 .742/.937 .778/.948",
    "dermamnist": ".917/.735 .920/.754 .913/.735 .912/.731 .902/.719 .915/.749 .914/.768",
    "octmnist": ".943/.743 .958/.763 .952/.762 .958/.776 .887/.601 .955/.763 .963/.771",
    "pneumoniamnist": ".944/.854 .956/.864 .948/.854 .962/.884 .942/.855 .947/.878 .991/.946",
    "retinamnist": ".717/.524 .710/.493 .726/.528 .716/.511 .690/.515 .719/.503 .750/.531",
    "breastmnist": ".901/.863 .891/.833 .857/.812 .866/.842 .836/.803 .871/.831 .919/.861",
    "bloodmnist": ".998/.958 .998/.963 .997/.956 .997/.950 .984/.878 .998/.961 .998/.966",
    "tissuemnist": ".930/.676 .933/.681 .931/.680 .932/.680 .828/.532 .941/.703 .924/.673",
    "organamnist": ".997/.935 .998/.951 .997/.935 .998/.947 .963/.762 .994/.905 .990/.886",
    "organcmnist": ".992/.900 .994/.920 .992/.905 .993/.911 .976/.829 .990/.879 .988/.877",
    "organsmnist": ".972/.782 .974/.778 .972/.770 .975/.785 .945/.672 .974/.813 .964/.749",
}


def medmnist_row(name: str) -> dict[str, tuple[float, float]]:
    """Return method -> (AUC, accuracy) of one 2-D data set, as published.

    Parameters
    ----------
    name
        One of the twelve 2-D MedMNIST sets, such as ``"breastmnist"``.

    Raises
    ------
    UnknownNameError
        When the published table has no such row.

    References
    ----------
    Yang et al., MedMNIST v2, Scientific Data 10:41 (2023), doi:10.1038/s41597-022-01721-8,
    2-D benchmark table. Notebook 02 prints it with the intervals it does not give.
    """
    if name not in _TABLE:
        raise UnknownNameError("2-D MedMNIST set", name, _TABLE)
    pairs = [tuple(float(x) for x in cell.split("/")) for cell in _TABLE[name].split()]
    return {method: (auc, acc) for method, (auc, acc) in zip(METHODS, pairs, strict=True)}
