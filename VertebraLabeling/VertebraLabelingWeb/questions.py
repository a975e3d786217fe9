"""What the page asks before it goes on: one question at a time, in a dialog of the template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One way to answer.

    Attributes:
        label: on the button.
        action: what it does.
        href: what the browser downloads instead; the question stays.
    """

    label: str
    action: Callable[[], object] | None = None
    href: str = ""


CANCEL = Answer("Cancel")


class Questions:
    """Asks in ``state.question``.

    Args:
        state: trame state.
    """

    def __init__(self, state) -> None:
        self._state = state
        self._answers: tuple[Answer, ...] = ()
        self.about = ""

    def ask(self, about: str, text: str, *answers: Answer) -> None:
        """Ask, in the place of a question that is open; the last answer is also what Escape means.

        Args:
            about: tells this kind of question from others.
            text: the question.
            answers: the first one is what most people want, and can be taken back.
        """
        self.about, self._answers = about, answers
        shown = [{"number": i, "label": each.label, "href": each.href} for i, each in enumerate(answers)]
        self._state.question = {"text": text, "answers": shown}

    def answer(self, number: int) -> None:
        """Do what an answer stands for."""
        answers = self._answers
        self.clear()
        if 0 <= number < len(answers) and (action := answers[number].action) is not None:
            action()

    def clear(self) -> None:
        """Ask nothing."""
        self.about, self._answers = "", ()
        self._state.question = None
