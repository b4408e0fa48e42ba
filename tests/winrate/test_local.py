"""Answers and rewards of models on this machine."""

from __future__ import annotations

import json

import pytest
import torch
from tiny import make_model, make_tokenizer, save
from transformers import LlamaForSequenceClassification

from calibfast.errors import InputError
from calibfast.models.adapter import add_lora
from calibfast.models.load import load_model
from calibfast.winrate import generate as generating
from calibfast.winrate.decoding import Decoding, Speaker
from calibfast.winrate.journal import Journal
from calibfast.winrate.run import run_winrate

PROMPTS = ["Hi", "Say something long about letters", "a", "1 + 1 = ?", "Who are you, and why?"]
SHORT = Decoding(max_new_tokens=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, two adapters for it, and a reward model."""
    root = tmp_path_factory.mktemp("models")
    save(root / "model", chat=True)
    for seed in (1, 2):
        adapted = add_lora(load_model(root / "model", device="cpu")[0], r=2, alpha=4)
        torch.manual_seed(seed)
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter)
        adapted.save_pretrained(root / f"adapter{seed}")
    tokenizer = make_tokenizer(chat=True)
    config = make_model(len(tokenizer)).config
    config.num_labels, config.pad_token_id = 1, 0
    torch.manual_seed(3)
    LlamaForSequenceClassification(config).save_pretrained(root / "reward")
    tokenizer.save_pretrained(root / "reward")
    return root


def said(folder, speakers, path, prompts=PROMPTS, decoding=SHORT, **options):
    journal = Journal(path)
    parsed = [Speaker.parse(speaker) for speaker in speakers]
    generating.generate(parsed, prompts, journal, decoding, device="cpu", **options)
    return [[journal.get(key)["output"] for key in each.keys(prompts, decoding, "auto")] for each in parsed]


def by_hand(model, tokenizer, prompt):
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        for _ in range(SHORT.max_new_tokens):
            token = model(ids).logits[:, -1].argmax(-1, keepdim=True)
            if token.item() == tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, token], dim=1)
    start = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return tokenizer.decode(ids[0, start:], skip_special_tokens=True).strip()


def test_batches_and_adapters_on_one_base(folder, tmp_path, monkeypatch):
    loaded = []

    def load(source, **options):
        loaded.append(source)
        return load_model(source, **options)

    monkeypatch.setattr(generating, "load_model", load)
    base = str(folder / "model")
    speakers = [f"{base}+{folder / 'adapter1'}", base, f"{base}+{folder / 'adapter2'}"]
    together = said(folder, speakers, tmp_path / "together.jsonl", batch_size=3)
    assert loaded == [base]
    assert together[1] == [by_hand(*load_model(base, device="cpu"), prompt) for prompt in PROMPTS]
    assert len({tuple(answers) for answers in together}) == 3
    alone = [
        said(folder, [speaker], tmp_path / f"{place}.jsonl", batch_size=1)[0] for place, speaker in enumerate(speakers)
    ]
    assert alone == together


def test_answers_are_not_made_again(folder, tmp_path):
    base, path = str(folder / "model"), tmp_path / "answers.jsonl"
    at_once = said(folder, [base], tmp_path / "at_once.jsonl")
    said(folder, [base], path, PROMPTS[:2])
    before = path.read_bytes()
    path.write_bytes(before[:-10])  # killed while writing
    assert said(folder, [base], path) == at_once
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == len({row["key"] for row in rows}) == len(PROMPTS)
    assert {"instruction", "output", "generator"} <= set(rows[0])
    other = said(folder, [base], path, decoding=Decoding(max_new_tokens=5))
    assert len(path.read_text().splitlines()) == 2 * len(PROMPTS)
    assert all(long.startswith(short) for long, short in zip(at_once[0], other[0], strict=True))


def test_drawn_answers_come_back(folder, tmp_path):
    base = str(folder / "model")
    drawn = [
        said(folder, [base], tmp_path / name, decoding=Decoding(12, 1.0, seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_prompt_that_does_not_fit(folder, tmp_path):
    with pytest.raises(InputError, match=r"are more than the 512 that the model reads; give a smaller --max-new"):
        said(folder, [str(folder / "model")], tmp_path / "a.jsonl", decoding=Decoding(510))


def test_names_of_models(tmp_path):
    assert Speaker.parse("hub/id") == Speaker("hub/id")
    assert str(Speaker.parse("hub/id+run")) == "hub/id+run"
    (tmp_path / "a+b").mkdir()
    assert Speaker.parse(str(tmp_path / "a+b")).adapter is None


@pytest.mark.filterwarnings("ignore:.* all that goes to one side")
def test_a_reward_model_judges(folder, tmp_path):
    base = str(folder / "model")
    sides = (base, f"{base}+{folder / 'adapter1'}")
    found = run_winrate(*sides, PROMPTS, str(folder / "reward"), tmp_path / "out", decoding=SHORT, device="cpu")
    model = LlamaForSequenceClassification.from_pretrained(folder / "reward").eval()
    tokenizer = make_tokenizer(chat=True)
    answers = said(folder, sides, tmp_path / "out" / "answers.jsonl")
    rewards = []
    for each in answers:
        texts = [f"<user>{prompt}<user>{answer}" for prompt, answer in zip(PROMPTS, each, strict=True)]
        with torch.no_grad():
            rewards.append(
                [model(tokenizer(x, add_special_tokens=False, return_tensors="pt").input_ids).logits for x in texts]
            )
    wins = [float(x > y) if a != b else 0.5 for x, y, a, b in zip(*rewards, *answers, strict=True)]
    assert found.rates.win_rate.value == pytest.approx(sum(wins) / len(wins))
    assert (found.rates.agreement, found.unjudged) == (None, {})
    assert found.cut == tuple(
        sum(
            not json.loads(line)["finished"]
            for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
            if json.loads(line)["generator"] == side
        )
        for side in sides
    )
    before = (tmp_path / "out" / "judgements.jsonl").read_bytes()
    again = run_winrate(*sides, PROMPTS, str(folder / "reward"), tmp_path / "out", decoding=SHORT, device="cpu")
    assert again == found
    assert (tmp_path / "out" / "judgements.jsonl").read_bytes() == before


def test_what_a_reward_model_cannot_read_is_unjudged(folder, tmp_path):
    rows = [{"instruction": "q", "output": "x" * 600}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.json").write_text(json.dumps([{**rows[0], "output": "y"}]))
    sides = (str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    found = run_winrate(*sides, ["q"], str(folder / "reward"), tmp_path / "out", device="cpu")
    assert (found.rates.judged, found.unjudged) == (0, {"too long": 1})


def test_a_reward_that_is_no_number_is_no_tie(folder, tmp_path):
    model = LlamaForSequenceClassification.from_pretrained(folder / "reward")
    torch.nn.init.constant_(model.score.weight, torch.nan)
    model.save_pretrained(tmp_path / "broken")
    make_tokenizer(chat=True).save_pretrained(tmp_path / "broken")
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(json.dumps([{"instruction": "q", "output": name}]))
    sides = (str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    found = run_winrate(*sides, ["q"], str(tmp_path / "broken"), tmp_path / "out", device="cpu")
    assert (found.rates.judged, found.rates.ties, found.unjudged) == (0, 0, {"not finite": 1})


def test_a_reward_model_has_no_endpoint(folder, tmp_path, calibfast):
    (tmp_path / "a.json").write_text('[{"instruction": "q", "output": "x"}]')
    command = ("winrate", "--a", tmp_path / "a.json", "--b", tmp_path / "b.json", "--prompts", tmp_path / "a.json")
    command += ("--judge", f"reward:{folder / 'reward'}", "--output", tmp_path / "out")
    flags = {"--judge-model": "m", "--judge-settings": "{}", "--api-key-env": "K", "--concurrency": 8}
    flags |= {"--requests-per-minute": 9, "--timeout": 120}
    for flag, value in flags.items():
        code, out, err = calibfast(*command, flag, value)
        assert (code, out) == (2, "")
        assert f"'{flag}': it is for an endpoint" in " ".join(err.split())
    code, _, err = calibfast(*command, *(part for flag in flags.items() for part in flag))
    assert code == 2
    assert all(flag in err for flag in flags)
    assert not (tmp_path / "out").exists()


def test_what_is_no_reward_model(folder, tmp_path):
    (tmp_path / "a.json").write_text('[{"instruction": "q", "output": "x"}]')
    (tmp_path / "b.json").write_text('[{"instruction": "q", "output": "y"}]')
    sides = (str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    with pytest.raises(InputError, match="saved as a reward model"):
        run_winrate(*sides, ["q"], str(folder / "model"), tmp_path / "out", device="cpu")
