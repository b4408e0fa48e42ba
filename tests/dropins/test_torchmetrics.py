"""The torch metric: by batches, in a MetricCollection, over processes; integers that add up."""

from __future__ import annotations

import copy
import importlib
import pickle
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from dropins import rank
from reference import calibration as reference
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

import calibfast
from calibfast import InputError, MissingExtraError
from calibfast.torch import CalibrationError

mpl.use("agg")
DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(600, 4, generator=DRAW)
PROBS, TARGET = LOGITS.double().softmax(1), torch.randint(4, (600,), generator=DRAW)
EVERY = [
    {"n_bins": n_bins, "kind": kind, "norm": norm}
    for n_bins in (10, 15)
    for kind in ("confidence", "classwise")
    for norm in ("l1", "l2", "max")
]


def made(**settings):
    return CalibrationError(task="multiclass", num_classes=4, **settings)


def expected(settings, rows=slice(None)):
    of = {"confidence": reference.confidence_error, "classwise": reference.classwise_error}[settings["kind"]]
    return of(PROBS[rows].numpy(), TARGET[rows].numpy(), settings["n_bins"], settings["norm"])


@pytest.mark.parametrize("settings", EVERY)
def test_forward_gives_the_batch_and_compute_all(settings):
    metric = made(**settings)
    batches = torch.arange(600).split(170)
    for batch in batches:
        assert metric(PROBS[batch], TARGET[batch]).item() == pytest.approx(expected(settings, batch), rel=1e-6)
    assert metric.compute().shape == ()
    assert metric.compute().dtype == torch.float32
    whole = calibfast.CalibrationError(settings["n_bins"], kind=settings["kind"], norm=settings["norm"])
    assert metric.accumulator().to_bytes() == whole.update(PROBS, TARGET).to_bytes()
    assert metric.compute().item() == np.float32(whole.compute())
    for same in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), metric.to(torch.float16)):
        assert same.accumulator() == whole
    assert metric.set_dtype(torch.float16).accumulator() == whole
    metric.reset()
    assert metric.accumulator().n == 0
    metric.update(PROBS[:50], TARGET[:50])
    assert metric.compute().item() == pytest.approx(expected(settings, slice(50)), rel=1e-6)


def test_a_saved_state_goes_on():
    metric, again = made(), made()
    metric.persistent(True)
    again.persistent(True)
    metric.update(PROBS[:300], TARGET[:300])
    again.load_state_dict(metric.state_dict())
    again.update(PROBS[300:], TARGET[300:])
    assert again.accumulator() == calibfast.CalibrationError(15).update(PROBS, TARGET)


def test_a_collection_shares_states_that_are_the_same():
    collection = MetricCollection(
        {
            "ece": made(),
            "mce": made(norm="max"),
            "ten": made(n_bins=10),
            "but_3": made(ignore_index=3),
            "cw": made(kind="classwise"),
            "accuracy": MulticlassAccuracy(4, average="micro"),
        },
        prefix="val_",
    )
    early = TARGET[:200].clamp(max=2)  # nothing to ignore yet
    for part in (slice(0, 100), slice(100, 200)):
        collection.update(PROBS[part], early[part])
    found = collection(PROBS[200:], TARGET[200:])
    assert found["val_ece"].item() == np.float32(calibfast.ece(PROBS[200:], TARGET[200:], bins=15))
    target = torch.cat([early, TARGET[200:]])
    assert {name: value.item() for name, value in collection.compute().items()} == {
        "val_ece": np.float32(calibfast.ece(PROBS, target, bins=15)),
        "val_mce": np.float32(calibfast.mce(PROBS, target, bins=15)),
        "val_ten": np.float32(calibfast.ece(PROBS, target, bins=10)),
        "val_but_3": np.float32(calibfast.ece(PROBS, target, bins=15, ignore_index=3)),
        "val_cw": np.float32(calibfast.classwise_ece(PROBS, target, bins=15)),
        "val_accuracy": pytest.approx((PROBS.argmax(1) == target).double().mean().item()),
    }
    assert sorted(map(sorted, collection.compute_groups.values())) == [
        ["accuracy"],
        ["but_3"],
        ["cw"],
        ["ece", "mce"],
        ["ten"],
    ]


def test_values_are_drawn():
    metric = made()
    values = [metric(PROBS[:100], TARGET[:100]), metric(PROBS[100:], TARGET[100:])]
    figure, axes = metric.plot(values)
    assert axes.lines[0].get_ydata().tolist() == [value.item() for value in values]
    plt.close(figure)


def test_logits_pixels_and_ignored_rows():
    metric = made(logits=True, ignore_index=-100)
    target = TARGET.reshape(3, 200).clone()
    target[:, ::7] = -100
    metric.update(LOGITS.reshape(3, 200, 4).movedim(2, 1).requires_grad_(), target)
    whole = calibfast.CalibrationError(15)
    assert metric.accumulator() == whole.update(LOGITS, target.flatten(), logits=True, ignore_index=-100)
    assert metric.accumulator().ignored == 87
    assert made(logits=True)(LOGITS.bfloat16(), TARGET).item() == np.float32(
        calibfast.ece(LOGITS.bfloat16(), TARGET, bins=15, logits=True)
    )
    assert torch.isnan(made(ignore_index=0)(PROBS[:2], torch.tensor([0, 0])))


def test_binary_is_about_class_1():
    p, y = PROBS[:, 0], TARGET == 0
    settings = {"n_bins": 15, "norm": "l1"}
    metric = CalibrationError("binary", **settings)
    assert metric(p.reshape(30, 20), y.reshape(30, 20).long()).item() == pytest.approx(
        reference.confidence_error(p.numpy(), y.numpy(), 15), rel=1e-6
    )
    of_logits = CalibrationError("binary", logits=True, **settings)(p.logit().float(), y)
    assert of_logits.item() == pytest.approx(metric.compute().item(), abs=1e-5)


def test_a_refused_batch_leaves_the_state_as_it_was():
    metric = made()
    metric.update(PROBS, TARGET)
    before = metric.accumulator()
    for preds, target, message in [
        (LOGITS, TARGET, "logits=True"),
        (PROBS, TARGET + 1, r"label at row \d+ is 4"),
        (PROBS[:, :3], TARGET, r"preds have shape \(600, 3\), expected \(N, 4, ...\)"),
        (PROBS, TARGET[:9], r"target has shape \(9,\), expected \(600,\)"),
    ]:
        with pytest.raises(InputError, match=message):
            metric.update(preds, target)
    assert metric.accumulator() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "multilabel"}, "task is"),
        ({"task": "multiclass"}, "num_classes"),
        ({"task": "binary", "kind": "classwise"}, "classwise"),
        ({"task": "binary", "n_bins": 0}, "bins is at least 1"),
        ({"task": "binary", "n_bins": [0, 1]}, "n_bins is an integer"),
        ({"task": "binary", "norm": "l3"}, "norm is"),
        ({"task": "binary", "kind": "ks_error"}, "kind is"),
    ],
)
def test_settings_without_a_meaning(settings, message):
    with pytest.raises(InputError, match=message):
        CalibrationError(**settings)


def test_words_of_another_state_are_refused():
    words = made().words
    words[3] = -1
    metric = made()
    metric.words = words
    with pytest.raises(calibfast.StateError, match="words"):
        metric.accumulator()


def test_without_torchmetrics(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "calibfast.torch.calibration_error")
    with pytest.raises(MissingExtraError, match=r"pip install 'calibfast\[torch\]'"):
        importlib.import_module("calibfast.torch.calibration_error")


def test_two_processes_find_what_one_does(tmp_path):
    torch.save((PROBS, TARGET), tmp_path / "rows.pt")
    with subprocess.Popen([sys.executable, rank.__file__, str(tmp_path)], stderr=subprocess.PIPE, text=True) as other:
        seen, value, synced, summed = rank.measure(0, tmp_path)
        _, said = other.communicate(timeout=60)
    assert other.returncode == 0, said
    whole = calibfast.CalibrationError(15, kind="classwise").update(PROBS, TARGET)
    assert seen == 150
    assert value == np.float32(whole.compute())
    assert synced.to_bytes() == summed.to_bytes() == whole.to_bytes()
