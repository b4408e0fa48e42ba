"""The cells of an experiment: methods x settings x seeds."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from calibfast.errors import InputError
from calibfast.training.config import ALIASES, TEMPERATURE, read_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calibfast.training.config import TrainingConfig

_ONE = ("scoring", "normalize", "bins")
"""They decide what is measured, so that all rows of a table share them."""
_ESTEP = ("divergence", "likelihood", "estep", "estep_data", "tau", "warm_up")
_READ_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_ESTEP, ("rcft",)),
    "lambda_": ("rcft", "soft-ece"),
    "smoothing": ("label-smoothing",),
    "gamma": ("focal",),
    "beta": ("dpo",),
}
"""Settings that some methods alone read: a list of them multiplies no other method."""
_FOR_ALL = ("preset", "limit", "held_out", *_ONE)
"""Settings that matter where nothing is trained, too."""


@dataclass(frozen=True)
class Cell:
    """One training run of an experiment, or one temperature.

    Attributes:
        row: The table's row that it belongs to: the method, and the values of the settings that were given as lists.
        config: Its settings, with its seed.
    """

    row: str
    config: TrainingConfig

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{re.sub(r'[^A-Za-z0-9.+=-]', '_', self.row)}-{self.config.seed}"


def plan_cells(
    methods: Iterable[str],
    seeds: Iterable[int],
    settings: Mapping[str, Any],
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Cell]:
    """Every method with every combination of its settings, for every seed.

    Args:
        methods: Methods of `TrainingConfig`. `temperature` comes first, whether it is among them or not.
        seeds: Each decides the questions drawn and held out, and the training.
        settings: Names of `TrainingConfig`'s fields, or `preset`, and their values. A list of values multiplies the
            cells of the methods that read the setting, and a value in a list, even in a list of one, is part of its
            row's name.
        own: For some methods, settings that go before these; methods that are not asked for may be among them.

    Returns:
        The cells, row by row.

    Raises:
        InputError: A setting is unknown or has a value that it must not have; or there is no method or no seed.
    """
    methods, seeds = list(methods), list(dict.fromkeys(seeds))
    if not methods or not seeds:
        raise InputError("an experiment has at least one method and one seed")
    common = _canonical(settings)
    special = {method: _canonical(values) for method, values in (own or {}).items()}
    cells = []
    for method in dict.fromkeys([TEMPERATURE, *methods]):
        given = common | special.get(method, {})
        read = {name: value for name, value in given.items() if _reads(method, name)}
        lists = {name: value for name, value in read.items() if isinstance(value, list)}
        for values in product(*lists.values()):
            varied = dict(zip(lists, values, strict=True))
            row = " ".join([method, *(f"{name.rstrip('_')}={value}" for name, value in varied.items())])
            cells += [Cell(row, read_config({"method": method, "seed": seed}, file=read | varied)) for seed in seeds]
    return cells


def trained_with(cell: Cell, cells: Sequence[Cell]) -> Cell:
    """The cell whose training gives a cell's weights: the one that fits a temperature afterwards, if there is one."""
    if cell.config.training_method is None or cell.config.tau == "fitted":
        return cell  # nothing is trained, or the training keeps a temperature of its own
    config = replace(cell.config, method=f"{cell.config.training_method}+{TEMPERATURE}")
    return next((other for other in cells if other.config == config), cell)


def _reads(method: str, name: str) -> bool:
    if method == TEMPERATURE:
        return name in _FOR_ALL
    return name not in _READ_BY or method.split("+")[0] in _READ_BY[name]


def _canonical(settings: Mapping[str, Any]) -> dict[str, Any]:
    named = {str(name).replace("-", "_"): value for name, value in settings.items()}
    named = {ALIASES.get(name, name): value for name, value in named.items()}
    for name, value in named.items():
        if name in ("method", "seed"):
            raise InputError(f"'{name}' is no setting of an experiment; give {name}s")
        if isinstance(value, list) and (not value or name in _ONE):
            why = "an empty list" if not value else "a list; it is the same for all rows, so make an experiment of each"
            raise InputError(f"setting '{name}' is {why}")
    return named
