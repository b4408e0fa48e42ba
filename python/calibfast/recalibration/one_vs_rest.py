"""Maps of one probability, used for each option against the rest."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibfast.errors import InputError
from calibfast.recalibration.base import Recalibrator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibfast.recalibration.options import Floats, Options

    Map = dict[str, Floats]


@dataclass(frozen=True)
class Column:
    """One option's probability in each row.

    Attributes:
        p: (N,) in [0, 1].
        log_odds: (N,) ln(p / (1 - p)), finite.
    """

    p: Floats
    log_odds: Floats


class OneVsRest(Recalibrator):
    """A map of one probability, fitted for each option against the rest; rows are divided by their sum afterwards.

    This is how Zadrozny & Elkan (2002) extend binary maps. Of two options the second is mapped, and the first gets the
    rest; (N,) confidences are such rows. An absent option is left out of the fit and gets 0; where all maps of a row
    say 0, present options get the same probability, as in scikit-learn.

    Attributes:
        maps_: For each option that is mapped, in order, the arrays that make up its map; None where no row has it.
    """

    confidences = True
    _learned = ("maps_",)

    maps_: list[Map | None]

    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        choice = options.present.sum(axis=1) > 1
        self.maps_ = []
        for option in _mapped(options.width):
            rows = np.flatnonzero(choice & options.present[:, option])
            self.maps_.append(
                self._fit_map(_column(options, option, rows), right[rows] == option) if len(rows) else None
            )

    def _predict(self, options: Options) -> Floats:
        p = np.zeros(options.present.shape)
        for option, rows, found, column in self._each(options):
            p[rows, option] = self._apply_map(found, column)
        if options.width == 2:
            p[:, 0] = 1 - p[:, 1]
        p[~options.present] = 0
        total = p.sum(axis=1)
        p[total == 0] = options.present[total == 0]
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def _each(self, options: Options) -> Iterator[tuple[int, NDArray[np.intp], Map, Column]]:
        """Every mapped option with the rows that have it, its map and its column.

        Raises:
            InputError: A row has an option that no fitted row had.
        """
        for option, found in zip(_mapped(options.width), self.maps_, strict=True):
            rows = np.flatnonzero(options.present[:, option])
            if len(rows) == 0:
                continue
            if found is None:
                raise InputError(
                    f"row {rows[0]}: no row that was fitted to has option {option}; fit to rows that have it",
                    int(rows[0]),
                    option,
                )
            yield option, rows, found, _column(options, option, rows)

    def _restore(self, learned: dict[str, Any]) -> None:
        maps = [
            None if found is None else {name: np.array(values, np.float64) for name, values in found.items()}
            for found in learned["maps"]
        ]
        if len(maps) != len(_mapped(len(self.classes_))):
            raise ValueError(f"{len(maps)} maps for {len(self.classes_)} options")
        self.maps_ = maps

    @abstractmethod
    def _fit_map(self, column: Column, hits: NDArray[np.bool_]) -> Map:
        """The map of an option, from its probabilities and whether it is the right one."""

    @abstractmethod
    def _apply_map(self, found: Map, column: Column) -> Floats:
        """(N,) mapped probabilities in [0, 1]."""


def _mapped(width: int) -> list[int]:
    return [1] if width == 2 else list(range(width))


def _column(options: Options, option: int, rows: NDArray[np.intp]) -> Column:
    chosen = options.take(rows)
    return Column(chosen.probabilities()[:, option], chosen.log_odds(option))
