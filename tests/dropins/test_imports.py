"""What a drop-in loads of the tool that it is for."""

import subprocess
import sys


def test_only_the_torch_room_loads_torch():
    heavy = ["torch", "torchmetrics", "sklearn", "transformers", "evaluate", "matplotlib", "pyarrow"]
    code = f"import sys, calibfast.sklearn, calibfast.huggingface; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
