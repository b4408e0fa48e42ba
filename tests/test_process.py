"""How calibfast behaves in a process: imports, forks, signals, the GIL, memory."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import calibfast


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **kwargs).stdout


def test_import_needs_nothing_and_functions_need_numpy_alone():
    heavy = ["torch", "transformers", "peft", "matplotlib", "polars", "pyarrow", "scipy", "typer", "rich"]
    loaded = f"print([m for m in {['numpy', *heavy]} if m in sys.modules])"
    out = python(f"import sys, calibfast; {loaded}; calibfast.ece([0.5], [1]), calibfast.stream; {loaded}")
    assert out.splitlines() == ["[]", "['numpy']"]


def test_names_are_there_before_they_are_loaded():
    code = (
        "import calibfast; print(set(calibfast.__all__) <= set(dir(calibfast)), hasattr(calibfast, 'nothing'));"
        "from calibfast import *; print(ece.__module__, recalibration.__name__)"
    )
    assert python(code).splitlines() == ["True False", "calibfast.metrics.functions calibfast.recalibration"]


def test_import_is_quick():
    """Processor time, which a busy machine does not stretch; what NumPy itself takes is not counted."""
    code = "import time, numpy; t = time.process_time(); from calibfast import ece; print(time.process_time() - t)"
    times = sorted(float(python(code)) for _ in range(5))
    assert times[2] < 0.15


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes():
    p, y = np.random.default_rng(0).random(2_000_000), np.ones(2_000_000, bool)
    expected = calibfast.ece(p, y, threads=2)
    code = (
        "import os, numpy as np, calibfast\n"
        "p, y = np.random.default_rng(0).random(2_000_000), np.ones(2_000_000, bool)\n"
        "calibfast.ece(p, y, threads=2)\n"
        "pid = os.fork()\n"
        "answer = calibfast.ece(p, y, threads=2)\n"
        "if pid == 0: print(answer, flush=True); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    assert float(python(code, timeout=60)) == expected


def test_the_gil_is_released():
    p, y = np.full(20_000_000, 0.5, np.float64), np.ones(20_000_000, bool)
    done = threading.Event()

    def work():
        calibfast.ece(p, y, threads=1)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    worker.join()
    assert turns >= 3


def test_ctrl_c_ends_long_work():
    code = (
        "import numpy as np, calibfast, sys\n"
        "p = np.broadcast_to(np.float64(0.5), (100_000_000_000,))\n"
        "y = np.broadcast_to(np.True_, (100_000_000_000,))\n"
        "print('ready', flush=True)\n"
        "try: calibfast.ece(p, y)\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "ready"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out.strip() == "interrupted"


def test_threads_may_share_an_accumulator():
    accumulator = calibfast.CalibrationError(10)
    parts = np.random.default_rng(0).random((8, 200_000))
    threads = [threading.Thread(target=accumulator.update, args=(p, p > 0.5)) for p in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert accumulator == calibfast.CalibrationError(10).update(parts.ravel(), parts.ravel() > 0.5)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_memory_does_not_grow_with_the_rows(dtype):
    """Peak memory of the call, over that of the arrays; an allocator's slack is allowed for."""
    code = (
        "import numpy as np, calibfast, resource\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"p, y = np.full(30_000_000, 0.5, '{dtype}'), np.ones(30_000_000, bool)\n"
        "calibfast.ece(p[:1000], y[:1000]); before = peak()\n"
        "calibfast.ece(p, y); calibfast.ece(p[::2], y[::2])\n"
        "print(peak() - before)\n"
    )
    assert int(python(code)) < 2_000  # KiB
