from __future__ import annotations

import pytest
from tiny import make_tokenizer

from calibfast.data.questions import Question
from calibfast.errors import InputError
from calibfast.models.encoding import encode_questions
from calibfast.models.prompt import INSTRUCTION, render_prompt

QUESTION = Question("q", None, "Is it?", ("yes", "no", "maybe"), 0)
PLAIN = "Question: Is it?\nA. yes\nB. no\nC. maybe\nAnswer:"
CHAT = f"<user>Question: Is it?\nA. yes\nB. no\nC. maybe\n{INSTRUCTION}<assistant>:"


def tokens(tokenizer, question=QUESTION):
    """The context as text without BOS, and the letters' tokens."""
    [encoded] = encode_questions(tokenizer, [question])
    first, *context = tokenizer.convert_ids_to_tokens(encoded.context)
    assert first == "<s>"
    return "".join(context), tokenizer.convert_ids_to_tokens([token for (token,) in encoded.options])


def test_the_prompt():
    plain, chat = render_prompt(make_tokenizer(), QUESTION), render_prompt(make_tokenizer(chat=True), QUESTION)
    assert (plain.text, plain.options, plain.asked) == (PLAIN, (" A", " B", " C"), (0, len(PLAIN)))
    assert (chat.text, chat.options) == (CHAT, ("A", "B", "C"))
    assert CHAT[slice(*chat.asked)] == CHAT.removeprefix("<user>").removesuffix("<assistant>:")


def test_a_letter_after_a_space_of_its_own():
    # The model says the space for certain; the letters part after it.
    assert tokens(make_tokenizer()) == (PLAIN + " ", ["A", "B", "C"])


def test_a_letter_that_holds_its_space():
    merges = [(" ", letter) for letter in "ABC"]
    assert tokens(make_tokenizer(merges)) == (PLAIN, [" A", " B", " C"])


def test_a_letter_that_merges_with_the_prompt():
    # ":A" is one token: the answer position is before the colon, which is no context any more.
    tokenizer = make_tokenizer([(":", letter) for letter in "ABC"], chat=True)
    context, letters = _without_bos(tokenizer)
    assert context == CHAT[:-1]
    assert letters == [":A", ":B", ":C"]
    alone = tokenizer(list("ABC"), add_special_tokens=False)["input_ids"]
    assert [ids[0] for ids in alone] != tokenizer.convert_tokens_to_ids(letters), "a lone letter would be wrong"


def test_a_chat_template_writes_its_own_special_tokens():
    context, letters = _without_bos(make_tokenizer(chat=True))
    assert (context, letters) == (CHAT, ["A", "B", "C"])


def _without_bos(tokenizer):
    [encoded] = encode_questions(tokenizer, [QUESTION])
    context = "".join(tokenizer.convert_ids_to_tokens(encoded.context))
    return context, tokenizer.convert_ids_to_tokens([token for (token,) in encoded.options])


def test_a_tokenizer_that_closes_texts():
    assert tokens(make_tokenizer(closing=True)) == (PLAIN + " ", ["A", "B", "C"])


def test_each_question_has_its_own_letters():
    five = Question("q", None, "?", tuple("vwxyz"), 0)
    two = Question("q", None, "?", ("x", "x"), 1)
    encoded = encode_questions(make_tokenizer(), [five, two])
    assert [len(row.options) for row in encoded] == [5, 2]
    assert encoded[0].options[:2] == encoded[1].options


def test_word_level(tmp_path):
    tokenizer = word_level(["Question:", "Is", "it?", "A.", "B.", "C.", "yes", "no", "maybe", "Answer:", *"ABC"])
    [encoded] = encode_questions(tokenizer, [QUESTION])
    assert tokenizer.convert_ids_to_tokens(encoded.context)[-1] == "Answer:"
    assert tokenizer.convert_ids_to_tokens([token for (token,) in encoded.options]) == ["A", "B", "C"]


def test_letters_that_the_vocabulary_lacks():
    known = ["Question:", "Is", "it?", "A.", "B.", "C.", "yes", "no", "maybe", "Answer:"]
    for letters in ("", "A", "AB"):
        with pytest.raises(InputError, match="question 'q': this tokenizer does not say"):
            encode_questions(word_level([*known, *letters]), [QUESTION])


def test_letters_of_several_tokens():
    from tokenizers import normalizers

    tokenizer = make_tokenizer()
    spelt = [normalizers.Replace(letter, f"{place}0") for place, letter in enumerate("ABC")]
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(spelt)
    with pytest.raises(InputError, match="letter by one token"):
        encode_questions(tokenizer, [QUESTION])


def word_level(words):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<unk>", *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


def test_a_cloze_says_the_text_and_shows_no_options():
    plain = render_prompt(make_tokenizer(), QUESTION, "cloze")
    assert (plain.text, plain.options) == ("Question: Is it?\nAnswer:", (" yes", " no", " maybe"))
    chat = render_prompt(make_tokenizer(chat=True), QUESTION, "cloze")
    assert (chat.text, chat.options) == ("<user>Is it?<assistant>:", ("yes", "no", "maybe"))


def test_examples_come_first_with_their_answers():
    before = Question("b", None, "Was it?", ("no", "yes"), 1)
    assert render_prompt(make_tokenizer(), QUESTION, "cloze", [before]).text == (
        "Question: Was it?\nAnswer: yes\n\nQuestion: Is it?\nAnswer:"
    )
    assert render_prompt(make_tokenizer(), QUESTION, "letter", [before]).text == (
        f"Question: Was it?\nA. no\nB. yes\nAnswer: B\n\n{PLAIN}"
    )
    chat = render_prompt(make_tokenizer(chat=True), QUESTION, "cloze", [before])
    assert chat.text == "<user>Was it?<user>yes<user>Is it?<assistant>:"  # the template knows one role
    assert chat.text[slice(*chat.asked)] == "Is it?"


@pytest.mark.parametrize("chat", [False, True])
def test_the_texts_of_a_cloze_begin_where_the_prompt_ends(chat):
    tokenizer = make_tokenizer([(" ", "y"), ("n", "o")], chat=chat)
    [encoded] = encode_questions(tokenizer, [QUESTION], "cloze")
    said = ["".join(tokenizer.convert_ids_to_tokens(option)) for option in encoded.options]
    assert said == (["yes", "no", "maybe"] if chat else [" yes", " no", " maybe"])
    assert encoded.sizes == (3, 2, 5)
    text = "".join(tokenizer.convert_ids_to_tokens(encoded.context)).removeprefix("<s>")
    assert text == ("<user>Is it?<assistant>:" if chat else "Question: Is it?\nAnswer:")


def test_a_text_that_merges_with_the_prompt_takes_the_merged_part_along():
    tokenizer = make_tokenizer([(":", "y")], chat=True)
    [encoded] = encode_questions(tokenizer, [QUESTION], "cloze")
    assert tokenizer.convert_ids_to_tokens(encoded.context)[-1] == ">"
    assert [tokenizer.convert_ids_to_tokens(option)[0] for option in encoded.options] == [":y", ":", ":"]


def test_the_questions_own_tokens():
    for chat, asked in [(False, PLAIN), (True, CHAT.removeprefix("<user>").removesuffix("<assistant>:"))]:
        tokenizer = make_tokenizer(chat=chat)
        [encoded] = encode_questions(tokenizer, [QUESTION])
        own = tokenizer.convert_ids_to_tokens(encoded.context[slice(*encoded.asked)])
        assert "".join(own) == asked
