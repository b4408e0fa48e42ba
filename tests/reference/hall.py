"""Hall's interval (1992, J. R. Stat. Soc. B 54) for a mean: the cubic transformation of Student's t."""

import numpy as np
from scipy import stats


def hall(mean, influence, units=None):
    """Ends of the 95% interval; influence is what each independent unit adds to the error of the mean."""
    n = units or len(influence)
    variance = (influence**2).sum() * n / (n - 1)
    a = (influence**3).sum() / variance**1.5
    t = stats.t.ppf([0.975, 0.025], n - 1)
    return mean - np.sqrt(variance) * 3 / a * (np.cbrt(1 + a * (t - a / 6)) - 1)
