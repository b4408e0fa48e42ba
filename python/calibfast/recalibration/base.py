"""What every recalibration map is: an estimator as scikit-learn has them, saved as JSON."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from calibfast.errors import STUMBLES, CalibfastWarning, InputError, StateError
from calibfast.metrics import evaluate
from calibfast.recalibration.options import read_labelled, read_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from calibfast.metrics import Report
    from calibfast.recalibration.options import Floats, Options

_VERSION = 2
# Rows that are alike by chance: under 1% of rows of four logits in float16, up to 18% of saturated confidences in
# float32, in published predictions.
_REFUSED_SHARE = 0.25
_NOTED_SHARE = 0.01


class Recalibrator(ABC):
    """A map from a model's probabilities to better ones, fitted to rows whose right options are known.

    Settings go to the constructor; `get_params`, `set_params` and `sklearn.base.clone` work on them, so that a map
    stands in scikit-learn's searches (give them probabilities). What `fit` finds are attributes that end with an
    underscore. The result is the same for every order of the rows.

    Attributes:
        kind: Name of the method, on the command line and in JSON.
        confidences: Whether it also takes (N,) confidences with right and wrong, as rows of two options.
        any_width: Whether a fitted map serves rows of any number of options.
        classes_: (K,) the indices 0 .. K-1 of the options, once fitted.
    """

    kind: ClassVar[str]
    confidences: ClassVar[bool] = False
    any_width: ClassVar[bool] = False
    _learned: ClassVar[tuple[str, ...]]
    """Names of the attributes that `fit` finds."""

    classes_: NDArray[np.intp]
    _rows: NDArray[np.uint64]

    def fit(self, p: ArrayLike, labels: ArrayLike, *, logits: bool = False, mask: ArrayLike | None = None) -> Self:
        """Fit the map. Keep to rows that the model was not trained on and will not be tested on.

        Args:
            p: (N, K) probabilities, or logits; where the method takes them, (N,) confidences.
            labels: (N,) integers in [0, K), the right options; right or wrong beside confidences.
            logits: Whether `p` holds logits (-inf = option absent).
            mask: (N, K) bool, True where an option is present. Default: all are.

        Returns:
            This object.

        Raises:
            InputError: Shapes or values are wrong, or of a kind that the method has no meaning for.
            MissingExtraError: SciPy is needed and not installed.
        """
        options, right = read_labelled(p, labels, logits=logits, mask=mask)
        self._fit_rows(options, right)
        self._rows = np.unique(fingerprints(options, right))
        return self

    def predict_proba(
        self, p: ArrayLike, *, logits: bool = False, mask: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Recalibrated probabilities.

        Args:
            p: As for `fit`.
            logits: Whether `p` holds logits.
            mask: As for `fit`.

        Returns:
            (N, K) float64, rows sum to 1; absent options get 0. For (N,) confidences, (N,).

        Raises:
            InputError: `p` breaks its contract, or is not of the kind that was fitted; or `fit` was not called.
        """
        options = read_options(p, logits=logits, mask=mask)
        found = self._predict_rows(options)
        return found[:, 1] if options.single else found

    def predict(self, p: ArrayLike, *, logits: bool = False, mask: ArrayLike | None = None) -> NDArray[np.intp]:
        """(N,) the options of the largest recalibrated probability; takes and raises what `predict_proba` does."""
        found = self.predict_proba(p, logits=logits, mask=mask)
        return np.asarray(found > 0.5 if found.ndim == 1 else found.argmax(axis=1), dtype=np.intp)

    def test(
        self,
        p: ArrayLike,
        labels: ArrayLike,
        *,
        logits: bool = False,
        mask: ArrayLike | None = None,
        bins: int | Sequence[float] = 10,
    ) -> Report:
        """Measure the recalibrated predictions of rows that were not fitted to.

        Args:
            p: As for `fit`.
            labels: As for `fit`.
            logits: Whether `p` holds logits.
            mask: As for `fit`.
            bins: Number of equal-width bins, or their edges.

        Returns:
            Every metric; see `calibfast.evaluate`.

        Raises:
            InputError: More than a quarter of the rows (by scores and label) are among those that were fitted to; or
                as for `predict_proba`.
        """
        options, right = read_labelled(p, labels, logits=logits, mask=mask)
        self._check_fits(options)
        rows = np.unique(fingerprints(options, right))
        seen = int(np.isin(rows, self._rows).sum()) if hasattr(self, "_rows") else 0
        if seen > _REFUSED_SHARE * len(rows):
            raise InputError(
                f"{seen} of {len(rows)} distinct rows are rows that this {self.kind} map was fitted to; test it on "
                "others, or cross-fit"
            )
        if seen > _NOTED_SHARE * len(rows):
            warnings.warn(
                f"{seen} of {len(rows)} distinct rows have the scores and label of a row that was fitted to; if they "
                "are the same questions, leave them out",
                CalibfastWarning,
                stacklevel=2,
            )
        return measure(self._predict(options), options, right, bins=bins)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The settings by name."""
        return {name: getattr(self, name) for name in self._settings()}

    def set_params(self, **settings: Any) -> Self:
        """Change settings; they count from the next `fit` on.

        Raises:
            InputError: There is no such setting.
        """
        for name, value in settings.items():
            if name not in self._settings():
                known = ", ".join(self._settings()) or "none"
                raise InputError(f"{type(self).__name__} has no setting {name!r}; it has {known}")
            setattr(self, name, value)
        return self

    def to_json(self) -> str:
        """The fitted map as JSON, which `from_json` gives back bit for bit.

        Raises:
            InputError: `fit` was not called.
        """
        self._check_fitted()
        rows = base64.b64encode(self._rows.astype("<u8").tobytes()).decode() if hasattr(self, "_rows") else None
        state = {
            "kind": self.kind,
            "version": _VERSION,
            "settings": self.get_params(),
            "options": len(self.classes_) if hasattr(self, "classes_") else None,
            "learned": {name.rstrip("_"): getattr(self, name) for name in self._learned},
            "rows": rows,
        }
        return json.dumps(state, default=lambda array: array.tolist(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote.

        Raises:
            StateError: The text is damaged, newer than this version, or of another method.
        """
        try:
            state = json.loads(text)
            kind, version = state["kind"], state["version"]
            if (kind, version) == (cls.kind, _VERSION):
                found = cls(**state["settings"])
                if state["options"] is not None:
                    found.classes_ = np.arange(state["options"])
                if state["rows"] is not None:
                    found._rows = np.frombuffer(base64.b64decode(state["rows"], validate=True), "<u8").astype(np.uint64)
                found._restore(state["learned"])
                found._check_fitted()
                return found
        except STUMBLES as error:
            raise StateError(f"this is no saved {cls.kind} map") from error
        raise StateError(f"expected a {cls.kind} map of version {_VERSION}, got {kind} of version {version}")

    def _fit_rows(self, options: Options, right: NDArray[np.intp]) -> None:
        if options.single and not self.confidences:
            raise InputError(f"{self.kind} scaling needs the probabilities of all options, (N, K)")
        self._check(options, right)
        order = np.lexsort([right, *options.values.T])
        self._fit(options.take(order), right[order])
        self.classes_ = np.arange(options.width)

    def _predict_rows(self, options: Options) -> Floats:
        self._check_fits(options)
        return self._predict(options)

    def _restore(self, learned: dict[str, Any]) -> None:
        """Take what `fit` found from JSON: numbers, and lists of them."""
        for name in self._learned:
            value = learned[name.rstrip("_")]
            setattr(self, name, np.array(value, np.float64) if isinstance(value, list) else value)

    @abstractmethod
    def _fit(self, options: Options, right: NDArray[np.intp]) -> None:
        """Set the attributes of `_learned`."""

    @abstractmethod
    def _predict(self, options: Options) -> Floats:
        """(N, K) recalibrated probabilities."""

    def _check(self, options: Options, right: NDArray[np.intp]) -> None:  # noqa: B027
        """Refuse rows, in the caller's order, that the method has no meaning for."""

    def _check_fits(self, options: Options) -> None:
        self._check_fitted()
        if options.single and not self.confidences:
            raise InputError(f"{self.kind} scaling needs the probabilities of all options, (N, K)")
        if not self.any_width and options.width != len(self.classes_):
            held = "one confidence each" if options.single else f"{options.width}"
            raise InputError(
                f"this {self.kind} map was fitted to {len(self.classes_)} options, and the rows have {held}; "
                "fit one to rows like these"
            )

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise InputError(f"no {self.kind} map yet: call fit first")

    @classmethod
    def _settings(cls) -> tuple[str, ...]:
        """Names of what the constructor takes, but for what `fit` finds."""
        names = inspect.signature(cls).parameters
        return tuple(name for name in names if f"{name}_" not in cls._learned)

    def __sklearn_is_fitted__(self) -> bool:
        return all(getattr(self, name, None) is not None for name in self._learned)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(positive_only=True),
        )

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({settings})"


def measure(p: Floats, options: Options, right: NDArray[np.intp], *, bins: int | Sequence[float] = 10) -> Report:
    """Every metric of recalibrated rows."""
    if options.single:
        return evaluate(p[:, 1], right, bins=bins)
    return evaluate(p, right, bins=bins, mask=options.present)


def fingerprints(options: Options, right: NDArray[np.intp]) -> NDArray[np.uint64]:
    """(N,) a number for each row's scores and label."""
    rows = np.concatenate([options.values, right[:, np.newaxis]], axis=1)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, "<u8").astype(np.uint64)
