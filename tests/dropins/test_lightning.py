"""The torch metric in a real Lightning loop."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection

import calibfast
from calibfast.torch import CalibrationError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what Lightning itself imports
    import pytorch_lightning as lightning

DRAW = torch.Generator().manual_seed(0)
X = torch.randn(96, 5, generator=DRAW)
Y = (X @ torch.randn(5, 3, generator=DRAW)).argmax(1)


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(5, 3)
        self.train_ece = CalibrationError("multiclass", num_classes=3, logits=True)
        self.val = MetricCollection(
            {
                "ece": CalibrationError("multiclass", num_classes=3, logits=True),
                "cw_ece": CalibrationError("multiclass", num_classes=3, logits=True, kind="classwise"),
            },
            prefix="val_",
        )
        self.seen = []

    def training_step(self, batch, index):
        x, y = batch
        logits = self.layer(x)
        self.train_ece(logits, y)
        self.log("train_ece", self.train_ece, on_step=True, on_epoch=True)
        return torch.nn.functional.cross_entropy(logits, y)

    def validation_step(self, batch, index):
        x, y = batch
        self.val.update(self.layer(x), y)
        self.log_dict(self.val)

    def on_validation_epoch_end(self):
        with torch.no_grad():
            self.seen.append(self.layer(X).clone())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on loaders, loggers and steps
def test_a_module_logs_it(tmp_path):
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Classifier()
    values = []

    class Keep(lightning.Callback):
        def on_validation_end(self, trainer, module):
            if not trainer.sanity_checking:
                values.append({name: value.item() for name, value in trainer.callback_metrics.items()})

    trainer.callbacks.append(Keep())
    trainer.fit(module, DataLoader(TensorDataset(X, Y), 32, shuffle=True), DataLoader(TensorDataset(X, Y), 20))
    assert len(values) == 3
    for found, logits in zip(values, module.seen[1:], strict=True):  # the first is of the sanity check
        assert found["val_ece"] == pytest.approx(calibfast.ece(logits, Y, logits=True, bins=15), abs=1e-7)
        assert found["val_cw_ece"] == pytest.approx(calibfast.classwise_ece(logits, Y, logits=True, bins=15), abs=1e-7)
    logged = trainer.callback_metrics
    assert 0 < logged["train_ece_step"] < 1
    assert 0 < logged["train_ece_epoch"] < 1
    assert module.train_ece.accumulator().n == 0, "reset after the epoch"
