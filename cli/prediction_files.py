"""How a file of predictions is read: the options that commands share, declared once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer


class Precision(str, Enum):
    """Types that predictions are computed in."""

    float16 = "float16"
    float32 = "float32"
    float64 = "float64"


Labels = Annotated[
    Path | None, typer.Option(help="A .npy file of labels, or of 0 and 1 beside confidences.", metavar="NPY")
]
Key = Annotated[str | None, typer.Option(help="Name of the predictions, where it is another.", metavar="NAME")]
LabelKey = Annotated[
    str | None,
    typer.Option(help="Name of the labels (of right and wrong), where it is another.", metavar="NAME"),
]
GroupKey = Annotated[
    str | None, typer.Option(help="Name of a column of groups: also a line for each, and the worst.", metavar="NAME")
]
Logits = Annotated[bool, typer.Option("--logits", help="--key (or the .npy array) holds logits; never guessed.")]
Options = Annotated[
    int | None,
    typer.Option(
        help="Keep the first K options of each row, renormalised; of completions: there are K.", metavar="K", min=2
    ),
]
Dtype = Annotated[
    Precision | None,
    typer.Option(help="The type that numbers in text were computed in; rows must sum to 1 within its rounding."),
]
Normalize = Annotated[
    Literal["sum", "token", "byte"],
    typer.Option(help="Log-likelihoods of a sample log: as they are, or by an option's tokens or bytes."),
]
Tokenizer = Annotated[
    Path | None, typer.Option(help="The model's folder, to count tokens for --normalize token.", metavar="PATH")
]
IgnoreIndex = Annotated[int | None, typer.Option(help="Leave out the rows with this label.", metavar="LABEL")]
Bins = Annotated[str, typer.Option(help="Number of equal-width bins, or edges: 0,0.5,0.9,1.", metavar="M|EDGES")]


def parse_bins(text: str) -> int | list[float]:
    """Bins as the command line has them."""
    try:
        return [float(edge) for edge in text.split(",")] if "," in text else int(text)
    except ValueError:
        problem = f"{text!r} is neither a number of bins nor edges such as 0,0.5,1"
        raise typer.BadParameter(problem, param_hint="'--bins'") from None
