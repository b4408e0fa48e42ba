from __future__ import annotations

import csv
import io

from calibfast.report.methods import MEASURED, MethodRow, render_methods


def row(method, domain, ece, accuracy, **marks):
    values = dict.fromkeys(MEASURED, (0.5, 0.7)) | {"conf_ece": ece, "accuracy": accuracy}
    return MethodRow(method, domain, (400, 400), values, **marks)


ROWS = [
    row("base_model", "in", (0.01, 0.01), (0.9, 0.9), reference=True),
    row("aligned", "in", (0.4, 0.5), (0.5, 0.6)),
    row("temperature", "in", (0.05, 0.07), (0.5, 0.6), scaled=True),
    row("rcft lambda=50%", "in", (0.05, 0.07), (0.4, 0.5)),
]


def render(style, rows=ROWS, **options):
    return render_methods(rows, style, seeds=[0, 1], bins=10, **options)


def cells(line):
    return [cell.strip() for cell in line.removesuffix(r" \\").split(" & ")]


def test_latex():
    lines = render("latex").splitlines()
    assert cells(lines[5])[0] == r"base\_model"
    assert cells(lines[6])[1:] == [r".450 $\pm$ .071", r"\textbf{.600} $\pm$ .141", r"\textbf{.550} $\pm$ .071"]
    assert cells(lines[7])[1::2] == [r"\textbf{.060} $\pm$ .014", r".550 $\pm$ .071 ="]
    assert cells(lines[8])[0] == r"rcft lambda=50\%"
    assert cells(lines[8])[1::2] == [r"\textbf{.060} $\pm$ .014", r".450 $\pm$ .071"]
    odd = render("latex", [row(r"a\b{c}^~&#$", "in", (0.1, 0.1), (0.1, 0.1))])
    assert r"a\textbackslash{}b\{c\}\textasciicircum{}\textasciitilde{}\&\#\$ &" in odd


def test_table():
    text = render("table")
    assert "base_model" in text
    assert ".060* ± .014" in text
    assert ".550* ± .071" in text
    assert ".550 ± .071 =" in text
    assert "Test questions: 400 in domain; mean ± sample standard deviation over seeds 0, 1; 10 bins; best" in text
    assert "best marked *; = unchanged by the temperature" in " ".join(text.split())
    colored = render("table", color=True)
    assert "\x1b[1m.060\x1b[0m ± .014" in colored
    assert "*" not in colored


def test_one_seed_has_no_deviation():
    single = [MethodRow("cft", "in", (400,), {**dict.fromkeys(MEASURED, (1.0,)), "conf_ece": (0.1234,)})]
    text = render_methods(single, seeds=[7], bins=15)
    assert ".123*" in text
    assert "1.000*" in text
    assert "±" not in text
    assert "seed 7; 15 bins" in text
    [line] = csv.DictReader(io.StringIO(render_methods(single, "csv", seeds=[7], bins=15)))
    assert float(line["conf_ece"]) == 0.1234
    assert line["conf_ece_deviation"] == ""


def test_both_domains_stand_side_by_side():
    both = [*ROWS, *(row(each.method, "out", (0.2, 0.2), (0.3, 0.3)) for each in ROWS)]
    header = render("table", both).splitlines()[:2]
    assert header[0].split() == ["in", "domain", "out", "of", "domain"]
    assert header[1].split().count("conf-ECE") == 2
    assert render("latex", both).count(r"\multicolumn{3}{c}") == 2
