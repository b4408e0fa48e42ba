"""The report page: one HTML file that needs no network, for eyes, keyboards, screen readers and paper."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibfast.errors import MissingExtraError
from calibfast.metrics.score_intervals import wilson
from calibfast.report import charts
from calibfast.report.definitions import DEFINITIONS, FALLS, FURTHER_NAMES, RISES
from calibfast.report.reading import compared, harm, p_text, reading
from calibfast.report.render import METRICS
from calibfast.report.study import FOLDS
from calibfast.report.table import NAMES, bin_labels, interval_of, number, size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from markupsafe import Markup

    from calibfast.metrics import Comparison, Report
    from calibfast.report.study import Studies, Study

HERE = Path(__file__).parent
_KEY_FIGURES = ("accuracy", "mean_confidence", "conf_ece", "smece", "brier", "auroc")
_MOST_STAMPS = 12


def page(studies: Studies) -> str:
    """Models as a page.

    Names of files, groups and models are escaped, and the page's security policy lets no script run but its own.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("a report page", "report") from None

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["figure"] = number
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = "".join((HERE / name).read_text(encoding="utf-8") for name in ("charts.css", "page.css"))
    first = studies.models[0]
    return environment.get_template("page.html.jinja").render(
        title=", ".join(study.name for study in studies.models),
        version=first.report.version,
        style=Markup(style),  # noqa: S704  # our own files
        script=Markup(script),  # noqa: S704
        script_hash=f"sha256-{digest}",
        studies=[_model(study, Markup) for study in studies.models],
        comparison=_comparison(studies) if studies.comparisons else None,
        bin_rule=_bin_rule(first.report),
        folds=FOLDS,
    )


def _model(study: Study, markup: Callable[[str], Markup]) -> dict[str, Any]:
    report = study.report
    return {
        "name": study.name,
        "source": study.source,
        "size": size_of(report),
        "report": report,
        "reading": reading(study),
        "no_temperature": study.no_temperature,
        "says": f"{report.mean_confidence:.1%}",
        "base": f"{report.accuracy:.1%}",
        "figures": [_figure(report, metric) for metric in _KEY_FIGURES if _value(report, metric) is not None],
        "charts": {name: svg and markup(svg) for name, svg in _charts(study).items()},
        "bins": _bins(report),
        "stamps": [
            {
                "option": each.option,
                "probability": f"{each.probability:.1%}",
                "share": f"{each.share:.1%}",
                "ece": number(each.ece),
                "chart": markup(charts.small_reliability(each.reliability, label=f"Option {each.option}: reliability")),
            }
            for each in (study.options if len(study.options) <= _MOST_STAMPS else ())
        ],
        "metrics": [_metric(report, metric) for metric in DEFINITIONS if _value(report, metric) is not None],
        "groups": [
            _group(name, report.groups[name], share) | {"chart": markup(_dumbbell(report.groups[name]))}
            for name, share in harm(report).items()
        ],
    }


def _charts(study: Study) -> dict[str, str]:
    report, metrics = study.report, study.report.metrics
    bins = report.reliability
    gap = f"signed gap {100 * report.signed_gap:+.1f} points"
    return {
        "reliability": charts.confidence_diagram(report),
        "pooled": ""
        if not study.pooled
        else charts.reliability(
            study.pooled,
            label="Class-wise reliability",
            rest=(f"cw-ECE {number(report.cw_ece)}", f"{len(study.options)} options"),
            intervals=False,
        ),
        "gap": charts.signed_gap(bins, rest=(gap, "over-confident above 0, under-confident below"), intervals=True),
        "histogram": charts.histogram(bins, accuracy=report.accuracy, mean_confidence=report.mean_confidence),
        "risk": charts.risk_coverage(
            study.risk_coverage,
            error=1 - report.accuracy,
            rest=(f"AURC {number(report.aurc)}", f"of all rows {1 - report.accuracy:.1%} wrong"),
        ),
        "decomposition": charts.decomposition(
            **{part: metrics[f"corp_{part}"] or 0.0 for part in ("mcb", "dsc", "unc")}
        ),
        "stamp": charts.small_reliability(bins, label=f"Reliability of {study.name}"),
    }


def _value(report: Report, metric: str) -> float | None:
    return report.metrics[metric] if metric in FURTHER_NAMES else getattr(report, metric)


def _name(metric: str) -> str:
    return NAMES.get(metric) or FURTHER_NAMES[metric]


def _figure(report: Report, metric: str) -> dict[str, str]:
    return {
        "name": _name(metric),
        "value": number(_value(report, metric)),
        "interval": interval_of(report, metric),
    }


def _metric(report: Report, metric: str) -> dict[str, str]:
    return _figure(report, metric) | {
        "definition": DEFINITIONS[metric],
        "method": report.ci_method.get(metric, ""),
        "base": number(report.base_rate.get(metric)),
    }


def _bins(report: Report) -> list[dict[str, Any]]:
    rows = []
    for label, part in zip(bin_labels(report.reliability), report.reliability, strict=True):
        row = {"label": label, "count": part.count, "confidence": part.confidence, "accuracy": part.accuracy}
        if part.accuracy is None or part.confidence is None:
            rows.append(row | {"interval": "", "gap": ""})
            continue
        interval = " to ".join(number(end) for end in wilson(part.accuracy, part.count, 0.95))
        rows.append(row | {"interval": interval, "gap": f"{part.confidence - part.accuracy:+.4f}"})
    return rows


def _group(name: str, part: Report, share: float) -> dict[str, Any]:
    return {
        "name": name,
        "rows": part.n,
        "says": f"{part.mean_confidence:.1%}",
        "right": f"{part.accuracy:.1%}",
        "gap": f"{100 * part.signed_gap:+.1f}",
        "error": number(part.conf_ece),
        "interval": interval_of(part, "conf_ece"),
        "harm": f"{share:.1%}",
    }


def _dumbbell(part: Report) -> str:
    return charts.dumbbell(part.accuracy, part.mean_confidence)


def _comparison(studies: Studies) -> dict[str, Any]:
    first, *others = studies.models
    found = studies.comparisons
    rows = [
        {
            "name": NAMES[metric],
            "first": number(_value(first.report, metric)),
            "others": [
                {"value": number(_value(study.report, metric))} | _difference(metric, found[study.name])
                for study in others
            ],
        }
        for metric in METRICS
        if _value(first.report, metric) is not None
    ]
    return {
        "first": first.name,
        "readings": [compared(name, first.name, comparison) for name, comparison in found.items()],
        "rows": rows,
        "methods": _methods(found[others[0].name]),
    }


def _difference(metric: str, found: Comparison) -> dict[str, str]:
    part = found.metrics.get(metric)
    if part is None or part.low is None or part.high is None or part.p_value is None:
        return dict.fromkeys(("difference", "interval", "p", "verdict"), "")
    clear = metric in RISES | FALLS and not part.low <= 0 <= part.high
    better = (part.difference > 0) == (metric in RISES)
    return {
        "difference": f"{part.difference:+.4f}",
        "interval": f"{part.low:+.4f} to {part.high:+.4f}",
        "p": p_text(part.p_value),
        "verdict": "" if not clear else "better" if better else "worse",
    }


def _methods(found: Comparison) -> str:
    """How differences were tested, metric by metric."""
    by_method: dict[tuple[str, str], list[str]] = {}
    for metric, part in found.metrics.items():
        by_method.setdefault((part.interval_method, part.test_method), []).append(NAMES[metric])
    return (
        "; ".join(
            f"{', '.join(names)}: interval by {interval}, test by {test}"
            for (interval, test), names in by_method.items()
        )
        + "."
    )


def _bin_rule(report: Report) -> str:
    edges = [part.lower for part in report.reliability]
    if all(abs(edge - place / report.bins) < 1e-9 for place, edge in enumerate(edges)):
        return f"{report.bins} of equal width, each closed on the right; 0 belongs to the first (Guo et al. 2017)"
    return f"{', '.join(bin_labels(report.reliability))}, as asked for"
