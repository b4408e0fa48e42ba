from __future__ import annotations

import pytest
import torch

from calibfast.errors import InputError
from calibfast.models.memory import memory_advice

KNOBS = "a smaller --batch-size"


def allocate():
    torch.empty(1 << 60, dtype=torch.uint8)


def fail(error):
    raise error


@pytest.mark.parametrize(
    "run_out",
    [
        allocate,
        lambda: bytearray(1 << 60),
        lambda: fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")),
        lambda: fail(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")),
    ],
)
def test_running_out_names_the_knobs(run_out):
    with pytest.raises(InputError, match="what helps: a smaller --batch-size") as caught, memory_advice(KNOBS):
        run_out()
    assert len(str(caught.value).splitlines()) == 1


def test_other_errors_pass():
    for error in (RuntimeError("shape '[2]' is invalid"), ValueError("out of memory")):
        with pytest.raises(type(error)) as caught, memory_advice(KNOBS):
            raise error
        assert caught.value is error
    with memory_advice(KNOBS):
        pass
