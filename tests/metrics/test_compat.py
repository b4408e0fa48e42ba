"""Every convention of `compat` against its package, digit for digit, on rows made to fall on edges.

Peers are compared in whichever version is installed; `tests/compat_versions.py` runs this file beside others.
"""

from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from reference import compat as reference

import calibfast
from calibfast import InputError
from calibfast.metrics.compat import _CONVENTIONS, reproduce, reproduce_all
from calibfast.metrics.torch_arithmetic import torch_linspace, torch_mean, torch_sum

try:
    import torch
except ModuleNotFoundError:  # beside old versions of packages that do without
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")
BINS = (1, 2, 3, 7, 10, 15, 20, 31, 100)
DTYPES = (np.float32, np.float64)


@pytest.fixture(autouse=True)
def _one_thread():
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several add in another order
    yield
    torch.set_num_threads(threads)


def installed(package):
    try:
        return tuple(int(part) for part in version(package).split(".")[:3])
    except PackageNotFoundError:
        return None


def edges_and_neighbours(dtype):
    edges = [np.arange(m + 1) / m for m in BINS] + [torch_linspace(m, np.float32) for m in BINS]
    edges = np.unique(np.concatenate(edges).astype(dtype))
    around = [edges, np.nextafter(edges, dtype(0)), np.nextafter(edges, dtype(2)), [dtype(1e-40), 1e-8]]
    return np.clip(np.concatenate(around).astype(dtype), 0, 1)


def confidences(dtype):
    rng = np.random.default_rng(3)
    edges = edges_and_neighbours(dtype)
    yield "edges", edges
    yield "shuffled", rng.permutation(np.tile(edges, 3))
    yield "random", rng.random(2000).astype(dtype)
    yield "saturated", np.clip(rng.normal(0.98, 0.05, 1501), 0, 1).astype(dtype)
    yield "ties", rng.choice(np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1, 1 / 3], dtype), 1000)
    yield "constant", np.full(40, 0.3, dtype)
    yield "empty bins", np.array([0.05, 0.95, 0.95, 1.0], dtype)
    for p in (0, 0.1, 0.5, 1):
        yield f"one row at {p}", np.array([p], dtype)


def options(dtype):
    rng = np.random.default_rng(4)
    for k in range(2, 11):
        yield f"random-{k}", rng.dirichlet([0.3] * k, 301).astype(dtype)
    top = edges_and_neighbours(dtype).astype(np.float64)
    for k in (2, 4, 10):
        held = top[top >= 1 / k + 1e-6]
        rest = rng.dirichlet([5.0] * (k - 1), len(held)) * (1 - held)[:, np.newaxis]
        yield f"edges-{k}", np.concatenate([held[:, np.newaxis], rest], axis=1).astype(dtype)
        yield f"one-hot-{k}", np.eye(k, dtype=dtype)[rng.integers(0, k, 50)]
    yield "tied options", np.full((30, 4), 0.25, dtype)
    yield "ties", rng.choice(np.array([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], dtype), 400)
    yield "one row", np.array([[0.6, 0.3, 0.1]], dtype)


def labelled(p):
    rng = np.random.default_rng(len(p))
    if p.ndim == 1:
        return rng.random(len(p)) < p**1.5
    labels = np.array([rng.choice(p.shape[1], p=row / row.sum()) for row in p.astype(np.float64)])
    return np.where(rng.random(len(p)) < 0.3, rng.integers(0, p.shape[1], len(p)), labels)


ROWS = [
    pytest.param(p, labelled(p), id=f"{name}-{np.dtype(dtype).name}")
    for form, dtype in product((confidences, options), DTYPES)
    for name, p in form(dtype)
]


def top(p, y):
    """In its own type, with the right ones."""
    if p.ndim == 1:
        return p, np.asarray(y, bool)
    return p.max(axis=1), p.argmax(axis=1) == y


def same(ours, theirs):
    assert ours == theirs


@needs_torch
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_guo(p, y):
    for bins in BINS:
        same(calibfast.ece(p, y, bins=bins, compat="guo"), reference.guo(*top(p, y), bins))


@needs_torch
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_rcft(p, y):
    for bins in (1, 7, 10, 15):
        same(calibfast.ece(p, y, bins=bins, compat="rcft"), reference.rcft(*top(p, y), bins))
        if p.ndim == 2 and bins == 10:
            ours = calibfast.classwise_ece(p, y, bins=bins, compat="rcft")
            same(ours, reference.rcft_classwise(p, y, bins))


TORCHMETRICS = installed("torchmetrics")
METRICS = {"l1": calibfast.ece, "l2": calibfast.rmsce, "max": calibfast.mce}


@pytest.mark.skipif(TORCHMETRICS is None, reason="torchmetrics is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("norm", METRICS)
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_torchmetrics(p, y, norm):
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    name = "torchmetrics" if TORCHMETRICS >= (1,) else "torchmetrics-0.11"
    if name == "torchmetrics-0.11" and (top(p, y)[0] == 0).any():
        with pytest.raises(InputError, match="fails on it"):
            METRICS[norm](p, y, compat=name)
        return
    preds, target = torch.as_tensor(p), torch.as_tensor(np.asarray(y, np.int64))
    for bins in BINS:
        if p.ndim == 1:
            theirs = binary_calibration_error(preds, target, n_bins=bins, norm=norm)
        else:
            theirs = multiclass_calibration_error(preds, target, num_classes=p.shape[1], n_bins=bins, norm=norm)
        ours = METRICS[norm](p, y, bins=bins, compat=name)
        if norm == "l2":  # torch's square root is rounded correctly on some machines, not on all
            np.testing.assert_array_max_ulp(theirs.numpy(), theirs.numpy().dtype.type(ours), 1)
        else:
            same(ours, theirs.item())


@pytest.mark.skipif(TORCHMETRICS is None, reason="torchmetrics is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [40_000, 3_000_000])
def test_torchmetrics_loses_what_it_loses(n):
    """Sums in float32, one after the other, stray far at millions of rows."""
    from torchmetrics.functional.classification import binary_calibration_error

    if TORCHMETRICS < (1,):
        pytest.skip("as above")
    rng = np.random.default_rng(0)
    p = rng.random(n, dtype=np.float32) * np.float32(0.01) + np.float32(0.99)
    y = rng.random(n, dtype=np.float32) < 0.9
    theirs = binary_calibration_error(torch.as_tensor(p), torch.as_tensor(y.astype(np.int64)), n_bins=15)
    same(calibfast.ece(p, y, bins=15, compat="torchmetrics"), theirs.item())


@pytest.mark.parametrize(("p", "y"), ROWS)
def test_netcal_told_anew(p, y):
    if p.ndim == 2 and len(np.unique(y)) <= 2:
        if p.shape[1] > 2:
            with pytest.raises(InputError, match="at most two values"):
                calibfast.ece(p, y, compat="netcal")
            return
        rows = p[:, 1].copy(), y
    else:
        rows = top(p, y)
    for bins, (norm, metric) in product(BINS, (("l1", calibfast.ece), ("max", calibfast.mce))):
        ours = metric(p, y, bins=bins, compat="netcal")
        same(ours, reference.netcal(*rows, bins, norm))


NETCAL = installed("netcal")


@pytest.mark.skipif(NETCAL is None, reason="netcal is not installed: it brings tensorboard, pyro and gpytorch")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_netcal(p, y):
    from netcal.metrics import ECE, MCE

    name = "netcal" if NETCAL >= (1, 3, 3) else "netcal-1.3.2"
    if name == "netcal-1.3.2":  # it ran with NumPy 1 alone, where a float64 scalar did not widen float32 arrays
        from netcal.metrics.Miscalibration import _Miscalibration

        _Miscalibration.epsilon = float(_Miscalibration.epsilon)
    if p.ndim == 2 and len(np.unique(y)) <= 2 and (p.shape[1] > 2 or name == "netcal-1.3.2"):
        with pytest.raises((RuntimeError, AttributeError, ValueError)):
            ECE(10).measure(p, y)
        with pytest.raises(InputError, match="at most two values"):
            calibfast.ece(p, y, compat=name)
        return
    for bins, (theirs, ours) in product(BINS, ((ECE, calibfast.ece), (MCE, calibfast.mce))):
        same(ours(p, y, bins=bins, compat=name), theirs(bins).measure(p, np.asarray(y, np.int64)))


KUMAR = installed("uncertainty-calibration")


@pytest.mark.skipif(KUMAR is None, reason="uncertainty-calibration is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_kumar(p, y):
    from calibration import utils

    name = "kumar" if KUMAR >= (0, 1, 2) else "kumar-0.1.1"
    y = y.astype(np.int64)
    discrete = utils.is_discrete(p)
    for kind, mode in (("confidence", "top-label"), ("classwise", "marginal")):
        if kind == "classwise" and p.ndim == 1:
            continue
        for debiased in (False, True):
            theirs = utils.get_calibration_error(p, y, p=2, debias=debiased, mode=mode)
            same(reproduce(name, p, y, bins=15, kind=kind, norm="l2", debiased=debiased), theirs)
            for bins in (2, 20):
                theirs = utils.lower_bound_scaling_ce(p, y, p=2, debias=debiased, num_bins=bins, mode=mode)
                if not discrete:
                    same(reproduce(name, p, y, bins=bins, kind=kind, norm="l2", debiased=debiased), theirs)
                if name == "kumar":
                    same(reproduce("kumar-em", p, y, bins=bins, kind=kind, norm="l2", debiased=debiased), theirs)
        for bins in (1, 10, 15):
            same(reproduce(name, p, y, bins=bins, kind=kind), utils.get_ece(p, y, num_bins=bins, mode=mode))
            if name == "kumar":
                theirs = utils.get_ece_em(p, y, num_bins=bins, mode=mode)
                same(reproduce("kumar-em", p, y, bins=bins, kind=kind), theirs)


SKLEARN = installed("scikit-learn")


@pytest.mark.skipif(SKLEARN is None, reason="scikit-learn is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("p", "y"), ROWS)
def test_sklearn(p, y):
    from sklearn.calibration import calibration_curve

    confidence, correct = top(p, y)
    strategies = {"sklearn": "uniform", "sklearn-quantile": "quantile"}
    if SKLEARN < (1, 1):
        strategies = {"sklearn-1.0": "uniform"}
        if len(np.unique(correct)) < 2:
            pytest.skip("before 1.1 it takes the one label there is for the negative one")
    for (name, strategy), bins in product(strategies.items(), BINS):
        positive = {} if SKLEARN < (1, 1) else {"pos_label": 1}
        accuracy, mean = calibration_curve(correct.astype(int), confidence, n_bins=bins, strategy=strategy, **positive)
        gap = np.abs(accuracy - mean)
        same(calibfast.mce(p, y, bins=bins, compat=name), gap.max())
        share = shares(confidence, bins, name)
        assert len(share) == len(gap)
        assert calibfast.ece(p, y, bins=bins, compat=name) == pytest.approx(share @ gap, rel=1e-14, abs=1e-300)
        assert calibfast.rmsce(p, y, bins=bins, compat=name) == pytest.approx(
            np.sqrt(share @ gap**2), rel=1e-14, abs=1e-300
        )


def shares(p, bins, name):
    """Of the bins that have rows: calibration_curve does not say."""
    fractions = np.linspace(0, 1, bins + 1)
    if name == "sklearn-1.0":
        count = np.histogram(p, np.append(np.linspace(0, 1 + 1e-8, bins + 1), 2))[0]
    else:
        inner = (np.percentile(p, fractions * 100) if name == "sklearn-quantile" else fractions)[1:-1]
        count = np.diff([0, *(np.sum(np.float64(p) <= edge) for edge in inner), len(p)])
    return count[count > 0] / len(p)


def load(name):
    with np.load(Path(__file__).parents[1] / "data" / f"{name}.npz") as file:
        return {name: file[name] for name in file.files}


def test_the_authors_numbers():
    """Kumar et al.'s four of their VGG-16, as their package computes them."""
    data = load("verified_cifar10_vgg16_probs")
    p, y = data["probs"], data["labels"]
    assert calibfast.debiased_rmsce(p, y, bins=15, compat="kumar") == pytest.approx(0.0776820, abs=5e-8)
    assert calibfast.rmsce(p, y, bins=15, compat="kumar") == pytest.approx(0.0781007, abs=5e-8)
    marginal = calibfast.debiased_rmsce(p, y, bins=15, kind="classwise", compat="kumar")
    assert marginal == pytest.approx(0.0106713, abs=5e-8)
    assert reproduce("kumar", p, y, bins=15, kind="classwise", norm="l2") == pytest.approx(0.0117782, abs=5e-8)


def docs_numbers():
    """What docs/compat.md shows of two files, to seven decimals."""
    vgg, llama = load("verified_cifar10_vgg16_probs"), load("lub_mmlu_llama_2_7b_chat_hf")
    logits = llama["logits_base"][:, :4].astype(np.float64)
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    top = np.round((probs / probs.sum(axis=1, keepdims=True)).max(axis=1), 2).astype(np.float32)
    files = ((vgg["probs"], vgg["labels"], 15), (top, probs.argmax(axis=1) == llama["labels"], 10))
    shown = {}
    for name in (None, *_CONVENTIONS):
        has = ("ece", "mce", "rmsce") if name is None else _CONVENTIONS[name][1]
        shown[name or "(none)"] = [
            f"{getattr(calibfast, metric)(p, y, bins=bins, compat=name):.7f}".lstrip("0") if metric in has else ""
            for p, y, bins in files
            for metric in ("ece", "mce", "rmsce")
        ]
    return shown


def test_the_numbers_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "compat.md").read_text(encoding="utf-8")
    section = text.split("## How far apart they are")[1].split("##")[0]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"]
    assert {name: values for name, *values in rows[2:]} == docs_numbers()


def test_every_convention_agrees_where_no_row_is_on_an_edge():
    rng = np.random.default_rng(0)
    p = (rng.integers(0, 15, 4000) + rng.uniform(0.01, 0.99, 4000)) / 15
    y = rng.random(4000) < p
    expected = calibfast.ece(p, y, bins=15)
    for name in _CONVENTIONS:
        if name not in ("kumar-em", "sklearn-quantile"):
            assert calibfast.ece(p, y, bins=15, compat=name) == pytest.approx(expected, abs=2e-6), name


@needs_torch
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_arithmetic(dtype):
    rng = np.random.default_rng(1)
    for n in [*list(range(1, 50)) * 20, *range(50, 300), 4096, 10_007, 100_003, 1_000_003]:
        x = rng.random(n).astype(dtype)
        assert torch_sum(x) == torch.as_tensor(x).sum().item()
        assert torch_mean(x) == torch.as_tensor(x).mean().item()
    for bins in range(1, 300):
        theirs = torch.linspace(0, 1, bins + 1, dtype=getattr(torch, np.dtype(dtype).name))
        assert torch_linspace(bins, dtype).tolist() == theirs.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibfast.ece([0.5], [1], compat="caffe"), "compat is 'caffe', expected one of guo, torchmetrics"),
        (lambda: calibfast.mce([0.5], [1], compat="guo"), "'guo' has no mce; it has ece"),
        (lambda: calibfast.classwise_ece([[0.5, 0.5]], [1], compat="netcal"), "no classwise_ece; it has ece, mce"),
        (lambda: calibfast.debiased_rmsce([0.5], [1], compat="rcft"), "no debiased_rmsce; it has ece, classwise_ece"),
        (lambda: calibfast.ece([0.5], [1], bins=[0, 0.5, 1], compat="guo"), "bins is a number from 1"),
        (lambda: calibfast.ece([0.5], [1], weights=[1], compat="guo"), "'guo' has no weights"),
        (lambda: calibfast.ece([[1.0, 0]], [1], mask=[[True, False]], compat="guo"), "'guo' has no mask"),
        (lambda: calibfast.ece([0.5, 1.5], [1, 0], compat="guo"), "row 1 is 1.5"),
        (lambda: calibfast.ece([[0.5, 0.5]], [2], compat="guo"), "label at row 0 is 2"),
        (lambda: calibfast.ece([], [], compat="guo"), "no rows"),
        (lambda: calibfast.ece([0.5, 0.0], [1, 0], compat="torchmetrics-0.11"), "row 1 is 0"),
        (lambda: calibfast.classwise_ece([0.5], [1], compat="kumar"), r"needs \(N, K\) probabilities"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_ignored_rows_and_logits():
    p, y = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]]), np.array([0, -1, 1])
    for name in ("guo", "rcft", "kumar"):
        expected = calibfast.ece(p[[0, 2]], y[[0, 2]], compat=name)
        assert calibfast.ece(p, y, ignore_index=-1, compat=name) == expected
        assert calibfast.ece(np.log(p), y, ignore_index=-1, logits=True, compat=name) == pytest.approx(expected)


@needs_torch
def test_half_precision_is_taken_as_float32():
    p = torch.rand(500, generator=torch.Generator().manual_seed(0))
    y = np.arange(500) % 2 == 0
    for half in (p.half(), p.bfloat16(), p.half().numpy()):
        as_float = half.float().numpy() if isinstance(half, torch.Tensor) else half.astype(np.float32)
        for name in ("guo", "torchmetrics", "netcal", "kumar", "sklearn", "rcft"):
            assert calibfast.ece(half, y, compat=name) == calibfast.ece(as_float, y, compat=name)


@pytest.mark.parametrize("options", [False, True])
def test_all_that_a_package_has(options):
    rng = np.random.default_rng(6)
    p, y = rng.dirichlet([1.0] * 3, 200), rng.integers(-1, 3, 200)
    rows = {"ignore_index": -1, "logits": True} if options else {}
    p, y = (np.log(p), y) if options else (p[:, 0], y == 0)
    kumar = ["ece", "rmsce", "debiased_rmsce"]
    for name, metrics in {
        "netcal": ["ece", "mce"],
        "torchmetrics": ["ece", "rmsce", "mce"],
        "rcft": ["ece"] + ["classwise_ece"] * options,
        "kumar": kumar + [f"classwise_{metric}" for metric in kumar] * options,
    }.items():
        found = reproduce_all(name, p, y, bins=7, **rows)
        assert list(found) == [f"{name}_{metric}" for metric in metrics]
        for metric in metrics:
            kind = "classwise" if metric.startswith("classwise") else "confidence"
            norm = {"mce": "max", "ece": "l1"}.get(metric.removeprefix("classwise_"), "l2")
            theirs = reproduce(name, p, y, bins=7, kind=kind, norm=norm, debiased="debiased" in metric, **rows)
            assert found[f"{name}_{metric}"] == theirs
    assert calibfast.debiased_rmsce(p, y, bins=7, compat="kumar", **rows) == found["kumar_debiased_rmsce"]
