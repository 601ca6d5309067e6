"""What a stage would do: said without asking anything (`--dry`), or after asking what can be asked now (`plan`)."""

from __future__ import annotations

from typing import Any

from pipeline.answering import Say
from pipeline.commands import (
    Command,
    Diff,
    Note,
    Pause,
    Probe,
    Step,
    Steps,
    Together,
    Unchanged,
    Upload,
    Write,
)
from pipeline.execution import Known, answers, asked, changes, say, unasked
from pipeline.hands import Hands


def rehearse(steps: Steps, show: Say = say) -> list[Step]:
    """`--dry`: say each step, ask nothing; every answer is the step's `unasked`.

    A question is said once while nothing changes, as it would be asked once.
    """
    seen, known = list[Step](), set[str]()

    def reply(step: Step) -> Any:
        seen.append(step)
        if changes(step):
            known.clear()
        heard = isinstance(step, Pause | Diff) or (isinstance(step, Note) and not step.always)
        for line in () if heard else str(step).splitlines():
            if line not in known:
                show(f"    {line.strip()}")
            known.update([line] if not changes(step) else [])
        return unasked(step)

    answers(steps, reply)
    return seen


def foresee(steps: Steps, hands: Hands, made: set[str], show: Say = say, known: Known | None = None) -> list[Step]:
    """`plan`: ask what can be asked now, show what would run and what not, and return what would change.

    `made` names what earlier changes of this plan will have made: questions that need it are not asked yet.
    """
    foreseen, known = list[Step](), {} if known is None else known

    def reply(step: Step) -> Any:
        answer = unasked(step)
        match step:
            case Command(kind="ask") | Probe() | Together(kind="ask"):
                answer = asked(step, hands, known, made)
            case Write():
                hands.write(step.path, step.text, step.private)  # in our own folder: what `kubectl diff` compares
            case Upload():
                hands.upload(step.path)
            case Unchanged():
                show(f"  skip  {step.why}")
            case Note() if step.always:
                show(f"        {step.text}")
            case Diff():
                for line in step.text.splitlines():
                    show(f"        {line}")
        if changes(step):
            foreseen.append(step)
            made.add(getattr(step, "makes", ""))
            show(f"  run   {getattr(step, 'doing', step)}")
        return answer

    answers(steps, reply)
    return foreseen
