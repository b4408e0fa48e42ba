"""What a machine does to a command: no right to write or read, no room, a kill, a second run, links that go round.

Each ends in one line that names the file, and leaves what stood there before.
"""

import ctypes
import signal
import subprocess
import sys

import numpy as np
import pytest

from calibfast.errors import InputError
from calibfast.io.files import prediction_files
from calibfast.io.partial import Partial

PAIRS = np.array([[0.9, 1.0], [0.6, 0.0]] * 50)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights and signals of Unix")


@pytest.fixture
def preds(tmp_path):
    np.save(tmp_path / "preds.npy", PAIRS)
    return tmp_path / "preds.npy"


def bound_by_rights():
    """Take from a process of root's what lets it write and read everywhere; it is gone with the next program."""
    drop, write, read = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for right in (write, read):
            libc.prctl(drop, right, 0, 0, 0)


def calibfast(*arguments, before=""):
    code = f"import sys\nfrom calibfast.cli.app import main\n{before}\nmain(sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=bound_by_rights)


@pytest.mark.parametrize("kind", ["state", "report", "merge"])
def test_a_folder_that_may_not_be_written_to(tmp_path, preds, kind):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "old").write_text("of last week")
    state = tmp_path / "s.cfs"
    assert calibfast("ece", preds, "--state", state).returncode == 0
    new = folder / "new"
    arguments = {
        "state": ("ece", preds, "--state", new),
        "report": ("report", preds, "-o", new.with_suffix(".html")),
        "merge": ("merge", state, "-o", new),
    }[kind]
    folder.chmod(0o500)
    try:
        done = calibfast(*arguments)
    finally:
        folder.chmod(0o700)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"error: {arguments[-1]}: Permission denied"
    assert "Traceback" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_a_file_that_may_not_be_read(preds):
    preds.chmod(0)
    done = calibfast("ece", preds)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {preds}: Permission denied\n"


def test_no_room_for_a_state(tmp_path, preds):
    state = tmp_path / "s.cfs"
    assert calibfast("ece", preds, "--state", state).returncode == 0
    held = state.read_bytes()
    np.save(tmp_path / "more.npy", PAIRS)
    full = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    done = calibfast("ece", preds, tmp_path / "more.npy", "--state", state, before=full)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"error: {state}: File too large"
    assert state.read_bytes() == held
    assert len(list(tmp_path.iterdir())) == 3


def test_a_kill_in_the_middle_of_a_file(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("of last week")
    code = (
        "import sys, time\nfrom calibfast.whole import open_whole\n"
        "with open_whole(sys.argv[1]) as file:\n"
        "    file.write(bytes(1 << 20)); file.flush(); print('half', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "of last week"


def test_two_runs_on_one_state(tmp_path):
    files = [tmp_path / f"{number}.npy" for number in range(40)]
    for file in files:
        np.save(file, PAIRS)
    command = [sys.executable, "-m", "calibfast.cli.app", "ece", *map(str, files), "--state", str(tmp_path / "s.cfs")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0] == said[1]
    assert Partial.read(tmp_path / "s.cfs").n == 40 * len(PAIRS)


def test_two_runs_on_one_folder(tmp_path):
    pytest.importorskip("filelock")
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom calibfast.training.folder import whole_folder\n"
        "with whole_folder(Path(sys.argv[1]), overwrite=False) as folder:\n"
        "    (folder / 'weights').touch(); print('in it', flush=True); sys.stdin.readline()\n"
    )
    from calibfast.training.folder import whole_folder

    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "in it\n"
        with (
            pytest.raises(InputError, match=r"run\.unfinished: another run is writing to it"),
            whole_folder(tmp_path / "run", overwrite=True),
        ):
            pass
        first.communicate("go on\n")
    assert (tmp_path / "run" / "weights").exists()


def test_links_that_go_round(tmp_path, preds):
    inside = tmp_path / "shards"
    (inside / "deeper").mkdir(parents=True)
    preds.rename(inside / "preds.npy")
    (inside / "deeper" / "up").symlink_to(inside)
    (inside / "loop.npy").symlink_to(inside / "loop.npy")
    (inside / "gone.npy").symlink_to(inside / "nothing.npy")
    assert prediction_files(inside) == [inside / "preds.npy"]
    with pytest.raises(InputError, match="named twice"):
        prediction_files(f"{inside}/**/pr*.npy")
    done = calibfast("ece", inside / "loop.npy")
    assert done.returncode == 2
    assert done.stderr == f"error: {inside / 'loop.npy'}: Too many levels of symbolic links\n"
    (inside / "again.npy").symlink_to(inside / "preds.npy")
    with pytest.raises(InputError, match="named twice"):
        prediction_files(inside)


def test_an_output_that_is_a_link(tmp_path, preds):
    there, link = tmp_path / "there", tmp_path / "s.cfs"
    link.symlink_to(there)
    assert calibfast("ece", preds, "--state", link).returncode == 0
    assert link.is_symlink()
    assert Partial.read(there).n == len(PAIRS)
    nowhere, loop = tmp_path / "nowhere.html", tmp_path / "loop.html"
    nowhere.symlink_to(tmp_path / "no" / "folder.html")
    done = calibfast("report", preds, "-o", nowhere)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"error: {nowhere}: No such file or directory"
    loop.symlink_to(loop)  # no file stands behind it: the page takes its place
    assert calibfast("report", preds, "-o", loop).returncode == 0
    assert loop.read_text().startswith("<!doctype html>")
