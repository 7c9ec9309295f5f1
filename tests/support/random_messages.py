"""What happens to the messages of a run at random (see ``random_changes.py``)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from dwserver.engine import held
from dwserver.engine.draft import Draft
from dwserver.engine.model import AppliedCommand, Payload, Signal, Update
from dwserver.engine.words import CommandType, EventType, SignalStatus, UpdateStatus
from tests.support.builders import a_command, a_signal, an_id, an_update
from tests.support.random_values import TEXTS, choose, maybe


def receive(draft: Draft, random: Random) -> None:
    """A signal or an update arrives, its event at once or held back."""
    run = draft.run
    sequence = run.command_sequence + 1
    command = a_command(
        run,
        sequence=sequence,
        command_type=random.choice((CommandType.SIGNAL, CommandType.UPDATE)),
        outcome="received",
        target_name=random.choice(TEXTS),
        request_id=maybe(random, f"request-{random.randrange(6)}"),
        payload=maybe(random, Payload("json", random.choice(TEXTS))),
    )
    draft.set_run(command_sequence=sequence)
    draft.record_command(command)
    message: Signal | Update
    if command.command_type is CommandType.SIGNAL:
        message = a_signal(run, sequence=sequence, command_id=command.id)
    else:
        message = an_update(
            run,
            sequence=sequence,
            command_id=command.id,
            request_id=command.request_id,
        )
    held_at = held.of_message(message) if random.random() < 0.5 else None
    arrived = draft.append(EventType.SIGNAL_RECEIVED, {}, held_at=held_at)
    _put_message(draft, replace(message, event_sequence=max(arrived, 0)), is_new=True)


def _put_message(
    draft: Draft, message: Signal | Update, *, is_new: bool = False
) -> None:
    if isinstance(message, Signal):
        (draft.signals.add if is_new else draft.signals.put)(message)
    else:
        (draft.updates.add if is_new else draft.updates.put)(message)


def _messages(draft: Draft) -> list[Signal | Update]:
    return [*draft.signals.values(), *draft.updates.values()]


def deliver(draft: Draft, random: Random) -> None:
    """The messages that were held back take their places in order of arrival."""
    for message in sorted(_messages(draft), key=lambda m: m.sequence):
        if message.event_sequence == 0:
            place = draft.release(held.of_message(message))
            _put_message(draft, replace(message, event_sequence=place))


def apply_message(draft: Draft, random: Random) -> None:
    """The workflow has seen a signal, or has answered an update."""
    now = draft.context.now
    message = choose(_messages(draft), random)
    if message is None or not message.is_open or message.event_sequence == 0:
        return
    step = maybe(random, draft.last_step)
    if isinstance(message, Signal):
        status = random.choice((SignalStatus.APPLIED, SignalStatus.REJECTED))
        draft.signals.put(
            replace(
                message, status=status, wait_id=an_id("wait"), step=step, applied_at=now
            )
        )
    elif random.random() < 0.5:
        result = maybe(random, Payload("avro", random.choice(TEXTS)))
        draft.updates.put(
            replace(
                message,
                status=UpdateStatus.COMPLETED,
                result=result,
                step=step,
                applied_at=now,
                closed_at=now,
            )
        )
    else:
        draft.updates.put(
            replace(
                message,
                status=UpdateStatus.FAILED,
                failure_id=an_id("failure"),
                failure_message=random.choice(TEXTS),
                closed_at=now,
            )
        )
    draft.apply_command(AppliedCommand(message.sequence, "applied", now))
