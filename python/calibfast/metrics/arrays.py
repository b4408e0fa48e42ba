"""What users hand over, as the arrays that the core takes: checked for type and shape, copied only where needed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np

from calibfast.errors import InputError
from calibfast.metrics.arrow import from_arrow, is_arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

Form = Literal["confidence", "probabilities", "logits"]


@dataclass(frozen=True)
class Predictions:
    """Rows for the core: values (N, 1) or (N, K), labels (N,), and what goes with them."""

    values: NDArray[Any]
    labels: NDArray[Any]
    form: Form
    mask: NDArray[np.bool_] | None
    weights: NDArray[Any] | None

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Predictions:
        """The chosen rows alone; True and False choose, too."""
        return replace(
            self,
            values=self.values[rows],
            labels=self.labels[rows],
            mask=None if self.mask is None else self.mask[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    def present(self) -> NDArray[np.bool_]:
        """(N, K) which options are present."""
        present = np.ones(self.values.shape, dtype=np.bool_) if self.mask is None else self.mask
        return present & (widened(self.values) != -np.inf) if self.form == "logits" else present


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Rows one after the other; a mask is there where one part has it, and so are weights, 1 where a part has none."""

    def together(name: Literal["mask", "weights"], absent: Callable[[Predictions], NDArray[Any]]) -> Any:
        found = [getattr(part, name) for part in parts]
        if all(value is None for value in found):
            return None
        return np.concatenate([absent(p) if v is None else v for p, v in zip(parts, found, strict=True)])

    if len(parts) == 1:
        return parts[0]
    return Predictions(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.labels for part in parts]),
        parts[0].form,
        together("mask", lambda part: np.ones(part.values.shape, dtype=np.bool_)),
        together("weights", lambda part: np.ones(len(part.labels))),
    )


def _to_array(data: Any, name: str) -> NDArray[Any]:
    if type(data) is np.ndarray:  # what follows takes longer than counting a few hundred rows
        return data
    if isinstance(data, np.ma.MaskedArray):
        raise InputError(f"{name} is a masked array; select the valid rows first, or pass ignore_index")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        tensor = data.detach().cpu()
        data = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if is_arrow(data):
        return from_arrow(data, name)
    try:
        if hasattr(data, "__dlpack__") and not hasattr(data, "__array__"):
            return np.from_dlpack(data)
        return np.asarray(data)
    except ValueError as error:
        raise InputError(f"{name} is ragged ({error}); pad absent options with -inf logits") from error
    except (TypeError, RuntimeError, BufferError) as error:  # memory of a GPU, a type that NumPy lacks
        raise InputError(f"{name} cannot be read in place ({error}); hand over a NumPy array") from error


def is_on_accelerator(data: object) -> TypeGuard[Tensor]:
    """Whether the data is a tensor of torch in other memory than the host's."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.Tensor) and data.device.type != "cpu"


def to_numpy(data: ArrayLike, name: str) -> NDArray[Any]:
    """An array of numbers in native byte order; bfloat16, which NumPy lacks, as its bits in uint16.

    Whatever NumPy reads, torch tensors, Arrow columns, and arrays of other libraries by DLPack.

    Raises:
        InputError: The data is ragged, masked, not numeric, has nulls, or lies on a GPU of a library other than torch.
        MissingExtraError: Arrow data needs pyarrow, which is not installed.
    """
    array = _to_array(data, name)
    if is_bfloat16(array):
        return array.view(np.uint16)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InputError(f"{name} has type {array.dtype}, expected numbers of at most 64 bits")
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if not (array.dtype.isnative and array.flags.aligned):
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def renumbered(error: InputError, row: int) -> InputError:
    """The same error of another row: rows that a user counts are not always those that the core has seen."""
    message = str(error).replace(f"row {error.row}", f"row {row}", 1)
    return InputError(message, row, error.column)


def is_bfloat16(data: ArrayLike | None) -> bool:
    """Whether the data is of the one float type that reaches the core as integers."""
    dtype = getattr(data, "dtype", "")
    return getattr(dtype, "isbuiltin", 0) != 1 and str(dtype).endswith("bfloat16")  # NumPy writes names slowly


def to_floats(data: ArrayLike, name: str) -> NDArray[Any]:
    """As `to_numpy`, with whole numbers turned into float64."""
    array = to_numpy(data, name)
    return array if array.dtype.kind == "f" or is_bfloat16(data) else array.astype(np.float64)


def widened(values: NDArray[Any]) -> NDArray[Any]:
    """Predictions as a type that NumPy computes with: bfloat16, which it lacks, as float32."""
    return (values.astype(np.uint32) << 16).view(np.float32) if values.dtype == np.uint16 else values


def to_options(
    p: ArrayLike, *, logits: bool, mask: ArrayLike | None
) -> tuple[NDArray[Any], Form, NDArray[np.bool_] | None]:
    """An (N, K) matrix of options, what its numbers are, and its mask.

    Raises:
        InputError: The matrix is none, or the mask is not of its shape.
    """
    return _with_mask(to_floats(p, "predictions"), logits, mask)


def _with_mask(
    values: NDArray[Any], logits: bool, mask: ArrayLike | None
) -> tuple[NDArray[Any], Form, NDArray[np.bool_] | None]:
    if values.ndim != 2:
        raise InputError(f"predictions have shape {values.shape}, expected (N, K) for N rows of K options")
    if mask is None:
        return values, "logits" if logits else "probabilities", None
    present = _to_array(mask, "mask")
    if present.shape != values.shape or present.dtype != np.bool_:
        raise InputError(
            f"mask is {present.dtype} of shape {present.shape}, expected bool of the predictions' shape {values.shape}"
        )
    return values, "logits" if logits else "probabilities", present


def to_predictions(
    p: ArrayLike,
    y: ArrayLike,
    *,
    logits: bool = False,
    mask: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Predictions:
    """Decide by the shape of `p`: (N,) are confidences with their correctness, (N, K) options with labels.

    Rows that have been through here pass as they are: how a metric is asked of the rows of another.

    Raises:
        InputError: Types or shapes do not go together.
    """
    if isinstance(p, Predictions):
        return p
    values = to_floats(p, "predictions")
    labels = to_numpy(y, "correct" if values.ndim == 1 else "labels")
    if is_bfloat16(y):
        labels = widened(labels)
    form: Form
    if values.ndim == 1:
        if logits or mask is not None:
            raise InputError("logits and mask go with (N, K) predictions, got (N,) confidences")
        form, present = "confidence", None
        values = values[:, np.newaxis]
    elif values.ndim == 2:
        values, form, present = _with_mask(values, logits, mask)
        if labels.dtype.kind == "f":
            given = getattr(y, "dtype", labels.dtype)
            raise InputError(f"labels have type {given}, expected integers in [0, {values.shape[1]})")
    else:
        raise InputError(f"predictions have shape {values.shape}, expected (N,) confidences or (N, K) options")
    if labels.ndim != 1:
        raise InputError(f"labels have shape {labels.shape}, expected (N,): one label, or one 0 or 1, for each row")
    row_weights = None if weights is None else to_floats(weights, "weights")
    if row_weights is not None and is_bfloat16(weights):
        row_weights = widened(row_weights)
    if row_weights is not None and row_weights.ndim != 1:
        raise InputError(f"weights have shape {row_weights.shape}, expected (N,)")
    return Predictions(values, labels, form, present, row_weights)
