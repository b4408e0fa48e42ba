"""The one prompt that a question is asked with."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from calibfast.data.questions import Question

Scoring = Literal["letter", "cloze"]
LETTERS = string.ascii_uppercase
INSTRUCTION = "Answer with the letter of the right option only."


@dataclass(frozen=True)
class Prompt:
    """A question as text.

    Attributes:
        text: What the model reads.
        asked: Where in the text this question stands: start and end, in characters.
        options: What the model may say next, one text for each option.
    """

    text: str
    asked: tuple[int, int]
    options: tuple[str, ...]


def render_prompt(
    tokenizer: PreTrainedTokenizerBase,
    question: Question,
    scoring: Scoring = "letter",
    examples: Sequence[Question] = (),
) -> Prompt:
    r"""The text that asks a question, and what may be said next.

    By letter and without a chat template the text is `Question: ...\nA. ...\nB. ...\nAnswer:` and the letter follows
    after a space. With a template the same lines are the user's message, which ends in an instruction to answer with
    the letter in place of `Answer:`, and the letter is the first thing that the assistant says. As a cloze the options
    are not shown: the text is `Question: ...\nAnswer:` or the user's message is the question, and the option's own
    text follows.

    Args:
        tokenizer: The model's tokenizer.
        question: The question to ask.
        scoring: What is said: the option's letter or its text.
        examples: Questions to show first, each with its answer: as turns of the conversation, or as paragraphs.
    """
    chat = tokenizer.chat_template is not None
    asking = _content(question, scoring, chat=chat)
    space = "" if chat else " "
    options = tuple(space + option for option in _said(question, scoring))
    if chat:
        messages = []
        for example in examples:
            messages.append({"role": "user", "content": _content(example, scoring, chat=True)})
            messages.append({"role": "assistant", "content": _said(example, scoring)[example.answer]})
        messages.append({"role": "user", "content": asking})
        # A model that can think first must not: the option is read off the very next token.
        text = str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        )
    else:
        shown = [
            f"{_content(example, scoring, chat=False)} {_said(example, scoring)[example.answer]}"
            for example in examples
        ]
        text = "\n\n".join([*shown, asking])
    start = text.rfind(asking.strip())
    asked = (0, len(text)) if start < 0 else (start, start + len(asking.strip()))
    return Prompt(text, asked, options)


def _content(question: Question, scoring: Scoring, *, chat: bool) -> str:
    if scoring == "cloze":
        return question.question if chat else f"Question: {question.question}\nAnswer:"
    lines = [f"Question: {question.question}"]
    lines += [f"{letter}. {choice}" for letter, choice in zip(LETTERS, question.choices, strict=False)]
    return "\n".join([*lines, INSTRUCTION if chat else "Answer:"])


def _said(question: Question, scoring: Scoring) -> tuple[str, ...]:
    return question.choices if scoring == "cloze" else tuple(LETTERS[: len(question.choices)])
