"""Every metric of a model's probabilities, and what is behind the first of them."""

import numpy as np

import calibfast

draw = np.random.default_rng(0)
truth = draw.dirichlet([1, 1, 1, 1], size=5000)  # the probability that each of four options is right
labels = (truth.cumsum(axis=1) < draw.random((5000, 1))).sum(axis=1)
sure = truth**2 / (truth**2).sum(axis=1, keepdims=True)  # a model that is too sure of itself

report = calibfast.evaluate(sure, labels, bins=15)
found = calibfast.interval("ece", sure, labels, bins=15)
print(f"says {report.mean_confidence:.1%}, is right {report.accuracy:.1%}")
print(f"conf-ECE {report.conf_ece:.3f} [{found.low:.3f} to {found.high:.3f}], cw-ECE {report.cw_ece:.3f}")
print(f"NLL {report.nll:.3f}; always saying the accuracy would get {report.base_rate['nll']:.3f}")
for row in report.reliability:
    if row.count:
        print(
            f"({row.lower:.2f}, {row.upper:.2f}] {row.count:5}: says {row.confidence:.2f}, is right {row.accuracy:.2f}"
        )
print(f"without bins: smECE {calibfast.smece(sure, labels):.3f}")
