"""Files of two models on the same questions, with names that mean mischief."""

import warnings

import numpy as np
import pytest

from calibfast.errors import CalibfastWarning
from calibfast.io import read_predictions
from calibfast.report.study import read_studies


@pytest.fixture(scope="session")
def hostile():
    return "<script>document.title='owned'</script>\"'&<img src=x onerror=alert(1)>|`*_"


@pytest.fixture(scope="session")
def study():
    def read(*paths, bins=10, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibfastWarning)
            return read_studies([read_predictions(path, **options) for path in paths], bins=bins)

    return read


@pytest.fixture(scope="session")
def files(tmp_path_factory, hostile):
    """An over-confident model, and one that means what it says, named as nobody should name a file."""
    folder = tmp_path_factory.mktemp("preds")
    rng = np.random.default_rng(0)
    n = 600
    honest = rng.dirichlet([0.8] * 4, n)
    labels = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    sharp = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    subject = np.array(["law", "art", hostile])[rng.integers(0, 3, n)]
    paths = [folder / "sharp.npz", folder / "<img src=x onerror=alert(1)> & co.npz"]
    for path, probs in zip(paths, (sharp, honest), strict=True):
        np.savez(path, probs=probs, labels=labels, subject=subject)
    return paths


@pytest.fixture(scope="session")
def studies(study, files):
    return study(*files, group_key="subject")
