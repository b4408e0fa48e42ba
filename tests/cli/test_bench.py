"""`calibfast bench`: times beside checks, as table, JSON and picture, and against an earlier run."""

import json

from calibfast.benchmark import CASES

SMALL = ("bench", "--sizes", "100,1e3")


def test_json_has_the_machine_and_every_case_at_every_size(calibfast):
    code, out, err = calibfast(*SMALL, "--peers", "--format", "json")
    assert code == 0, err
    result = json.loads(out)
    assert {"processor", "instructions", "threads", "numpy", "calibfast"} <= set(result["machine"])
    sizes = [(timing["case"], timing["rows"]) for timing in result["timings"]]
    assert sizes == [(case.name, max(1, size // case.width)) for case in CASES for size in (100, 1000)]
    assert {"read", "numpy", "torchmetrics"} <= set(result["timings"][0]["times"])
    assert all(timing["calibfast"] > 0 for timing in result["timings"])


def test_table_and_picture(calibfast, tmp_path):
    code, out, err = calibfast(*SMALL, "--case", "float32", "--plot", tmp_path / "bench.png")
    assert code == 0, err
    assert "ece, float32 confidences" in out
    assert "logits" not in out
    assert (tmp_path / "bench.png").read_bytes()[1:4] == b"PNG"


def test_a_lost_ratio_fails(calibfast, tmp_path):
    earlier = tmp_path / "earlier.json"
    timing = {"case": "ece, float32 confidences", "rows": 1000, "calibfast": 1.0}
    for ratio, expected in ((0.0, 0), (1e9, 1)):
        earlier.write_text(json.dumps({"machine": {}, "timings": [{**timing, "times": {"numpy": ratio}}]}))
        code, _out, err = calibfast(*SMALL, "--case", "float32", "--against", earlier)
        assert code == expected, err
    assert "ece, float32 confidences, 1,000 rows" in err


def test_senseless_arguments(calibfast, tmp_path):
    (tmp_path / "other.json").write_text("[]")
    for arguments, said in (
        (("--sizes", "0"), "no list of numbers"),
        (("--sizes", "many"), "no list of numbers"),
        (("--case", "nothing"), "in none of"),
        (("--against", tmp_path / "other.json"), "not what"),
    ):
        code, _out, err = calibfast("bench", *arguments)
        assert code == 2
        assert said in err
