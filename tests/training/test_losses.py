"""Each loss beside its formula in plain NumPy, on ragged options."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import calibfast
from calibfast.training import losses

INF = float("inf")
SCORES = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.2, -INF], [-3.0, 4.0, 3.5]]).double().log_softmax(1) - 0.4
ANSWER = torch.tensor([0, 1, 2])
TARGETS = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.7, 0.0], [0.25, 0.5, 0.25]]).double()
REFERENCE = SCORES + torch.tensor([[0.3, -0.2, 0.1], [0.0, 0.5, 0.0], [-0.1, 0.2, 0.4]])
RAGGED = [(0, 1, 2), (0, 1), (0, 1, 2)]


def confidences():
    for row, present in enumerate(RAGGED):
        exp = np.exp([SCORES[row, k].item() for k in present])
        yield row, present, exp / exp.sum()


def each(formula):
    return [formula(row, present, c) for row, present, c in confidences()]


def test_divergences():
    p = TARGETS.numpy()
    expected = {
        "squared-error": each(lambda row, present, c: sum((p[row, k] - c[k]) ** 2 for k in present)),
        "cross-entropy": each(lambda row, present, c: -sum(p[row, k] * math.log(c[k]) for k in present)),
        "kl": each(lambda row, present, c: sum(p[row, k] * math.log(p[row, k] / c[k]) for k in present)),
    }
    for kind, values in expected.items():
        assert losses.divergence(TARGETS, SCORES, kind).tolist() == pytest.approx(values)
    assert torch.equal(losses.divergence(TARGETS, SCORES), losses.divergence(TARGETS, SCORES, "squared-error"))


def test_a_target_of_zero_is_finite():
    for kind in ("squared-error", "kl", "cross-entropy"):
        scores = SCORES.clone().requires_grad_()
        losses.divergence(torch.eye(3).double()[[0, 1, 2]], scores, kind).sum().backward()
        assert scores.grad.isfinite().all()


def test_label_smoothing():
    def formula(row, present, _):
        target = {k: 0.1 / len(present) + 0.9 * (k == ANSWER[row].item()) for k in present}
        return -sum(target[k] * SCORES[row, k].item() for k in present)

    assert losses.label_smoothing(SCORES, ANSWER, 0.1).tolist() == pytest.approx(each(formula))
    assert losses.label_smoothing(SCORES, ANSWER, 0.0).tolist() == pytest.approx(
        [-SCORES[row, right].item() for row, right in enumerate(ANSWER)]
    )


def test_brier_and_focal():
    brier = each(lambda row, present, c: sum((c[k] - (k == ANSWER[row].item())) ** 2 for k in present))
    assert losses.brier(SCORES, ANSWER).tolist() == pytest.approx(brier)
    focal = each(lambda row, _, c: -((1 - c[ANSWER[row]]) ** 2) * math.log(c[ANSWER[row]]))
    assert losses.focal(SCORES, ANSWER, 2.0).tolist() == pytest.approx(focal)


def test_options_that_no_question_of_the_batch_answers_count():
    assert torch.equal(losses.label_smoothing(SCORES[:2], ANSWER[:2]), losses.label_smoothing(SCORES, ANSWER)[:2])
    assert torch.equal(losses.brier(SCORES[:2], ANSWER[:2]), losses.brier(SCORES, ANSWER)[:2])
    dpo = losses.dpo(SCORES, REFERENCE, ANSWER)
    assert torch.equal(losses.dpo(SCORES[:2], REFERENCE[:2], ANSWER[:2]), dpo[:2])


def test_dpo():
    def formula(row, present, _):
        gain = (SCORES[row] - REFERENCE[row]).tolist()
        right = ANSWER[row].item()
        margins = [0.5 * (gain[right] - gain[k]) for k in present if k != right]
        return np.mean([math.log1p(math.exp(-margin)) for margin in margins])

    assert losses.dpo(SCORES, REFERENCE, ANSWER, 0.5).tolist() == pytest.approx(each(formula))
    assert losses.dpo(SCORES, SCORES, ANSWER).tolist() == pytest.approx([math.log(2)] * 3)


def test_soft_binned_ece():
    tops = [(c.max(), float(c.argmax() == ANSWER[row])) for row, _, c in confidences()]
    total = 0.0
    memberships = [[math.exp(-((c - (m + 0.5) / 5) ** 2) / 0.01) for m in range(5)] for c, _ in tops]
    memberships = [[value / sum(row) for value in row] for row in memberships]
    for m in range(5):
        mass = sum(row[m] for row in memberships)
        gap = sum(row[m] * (c - hit) for row, (c, hit) in zip(memberships, tops, strict=True)) / mass
        total += mass / len(tops) * gap**2
    assert losses.soft_binned_ece(SCORES, ANSWER, 5).item() == pytest.approx(math.sqrt(total), rel=1e-12)


def test_defaults_are_those_that_the_methods_were_published_with():
    for name, given in [
        ("label_smoothing", {"smoothing": 0.1}),
        ("focal", {"gamma": 3.0}),
        ("soft_binned_ece", {"bins": 10, "temperature": 0.01}),
    ]:
        loss = getattr(losses, name)
        assert torch.equal(loss(SCORES, ANSWER), loss(SCORES, ANSWER, **given))
    assert torch.equal(losses.dpo(SCORES, REFERENCE, ANSWER), losses.dpo(SCORES, REFERENCE, ANSWER, beta=0.1))


@pytest.mark.parametrize(
    "loss",
    [
        lambda scores: losses.divergence(TARGETS, scores),
        lambda scores: losses.divergence(TARGETS, scores, "kl"),
        lambda scores: losses.label_smoothing(scores, ANSWER),
        lambda scores: losses.brier(scores, ANSWER),
        lambda scores: losses.focal(scores, ANSWER),
        lambda scores: losses.soft_binned_ece(scores, ANSWER),
        lambda scores: losses.dpo(scores, REFERENCE, ANSWER),
    ],
)
def test_gradients_are_finite_also_where_an_option_is_absent_or_certain(loss):
    certain = torch.tensor([[0.0, -80.0, -90.0], [-70.0, 0.0, -INF], [-200.0, -100.0, 0.0]]).double()
    for scores in (SCORES, certain):
        scores = scores.clone().requires_grad_()
        loss(scores).sum().backward()
        assert scores.grad.isfinite().all()
        assert scores.grad[1, 2] == 0


def test_the_calibration_loss_is_the_likelihood_s_and_the_divergence_weighted():
    right = torch.tensor([SCORES[row, k] for row, k in enumerate(ANSWER)])
    for given, weight, kind in [((), 1.0, "squared-error"), ((0.5, "kl"), 0.5, "kl")]:
        expected = np.mean((weight * losses.divergence(TARGETS, SCORES, kind) - right).tolist())
        assert losses.CalibrationLoss(*given)(SCORES, ANSWER, TARGETS).item() == pytest.approx(expected)


def test_the_calibration_loss_in_a_loop_of_ones_own():
    torch.manual_seed(0)
    features, answer = torch.randn(200, 5), torch.randint(3, (200,))
    layer = torch.nn.Linear(5, 3)
    criterion, optimizer = losses.CalibrationLoss(lambda_=2.0), torch.optim.Adam(layer.parameters(), lr=0.05)
    seen = []
    for _ in range(30):
        scores = layer(features).log_softmax(1)
        step = calibfast.estep(scores.detach(), answer, logits=True)
        loss = criterion(scores, answer, torch.from_numpy(step.targets(scores.detach(), logits=True)).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    assert seen[-1] < seen[0]
