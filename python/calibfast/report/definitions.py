"""What each number of a report is, in a line, with its source."""
# ruff: noqa: RUF001  # minus signs are set as such

from __future__ import annotations

DEFINITIONS = {
    "accuracy": "Share of rows whose most probable option is the right one; of ties the first.",
    "mean_confidence": "Mean probability of the most probable option.",
    "signed_gap": "Mean confidence − accuracy; above 0 is over-confidence.",
    "conf_ece": "Σ (share of rows in a bin) · |accuracy − mean confidence| of the bin (Guo et al. 2017).",
    "cw_ece": "The same for each option's probability against the rest; the mean over options (Kull et al. 2019).",
    "mce": "Largest |accuracy − mean confidence| of a bin (Naeini et al. 2015).",
    "rmsce": "√ Σ (share of rows in a bin) · (accuracy − mean confidence)² (Kumar et al. 2019, plug-in).",
    "brier": "Mean of Σ (probability − outcome)² over the options, 0 to 2; of confidences alone, 0 to 1 (Brier 1950).",
    "nll": "Mean of −ln (probability of the right option); of confidences alone, of what came: right or wrong.",
    "auroc": "Probability that a right answer is more confident than a wrong one, ties half (Hanley & McNeil 1982).",
    "aurc": "Mean share of wrong answers among the most confident, over all coverages (Geifman et al. 2019).",
    "smece": "Calibration error without bins, residuals smoothed by a kernel (Błasiok & Nakkiran 2023).",
    "corp_mcb": "CORP (Dimitriadis et al. 2021): what recalibration would save of the Brier score of the top option.",
    "corp_dsc": "CORP: what the recalibrated confidence saves beyond the base rate.",
    "corp_unc": "CORP: the Brier score of always saying the base rate.",
}
"""By the metric's name in `Report`; `smece` and `corp_*` are in its `metrics`."""

FURTHER_NAMES = {
    "smece": "smECE",
    "corp_mcb": "miscalibration",
    "corp_dsc": "discrimination",
    "corp_unc": "uncertainty",
}
RISES = frozenset({"accuracy", "auroc"})
FALLS = frozenset({"conf_ece", "cw_ece", "mce", "rmsce", "brier", "nll", "aurc"})
"""Metrics that are better when they are higher, or lower."""
