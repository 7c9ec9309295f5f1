"""Signals and updates on their way to a run (``spec/engine.md`` §9.5, §9.6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

import orjson

from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.message import MessageRequest
from dwserver.engine.lifecycle.operator import reject
from dwserver.engine.lifecycle.signal import SignalRequest, receive_signal
from dwserver.engine.lifecycle.update import UpdateRequest, accept_update
from dwserver.engine.model import Command, JsonMap, Payload, Run, Update
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.engine.words import CommandRejection, CommandType
from dwserver.protocol.command_contracts import (
    Contract,
    MessageKind,
    check_arguments,
)
from dwserver.protocol.json_types import JsonValue
from dwserver.protocol.payloads.framing import display
from dwserver.services.command_contracts import CommandContracts

_OBJECT: Final = "{"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A signal or an update as a caller sent it. A plain object as ``arguments`` names
    them. ``kept``: the arguments as they are to be recorded, perhaps a reference.

    ``is_event``: its ``request_id`` names an outside event, whatever is said of it; it
    may be sent again until it is accepted.
    """

    namespace: str
    name: str
    arguments: Payload | None = None
    kept: Payload | None = None
    request_id: str | None = None
    is_event: bool = False
    context: JsonMap = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """A recorded command, accepted or rejected, and its run. ``is_repeated``: it was
    recorded before."""

    command: Command
    run: Run
    validation_errors: JsonMap = field(default_factory=dict)
    is_repeated: bool = False

    @property
    def shown_errors(self) -> JsonValue:
        """The errors by argument; an empty list for none (decision 3)."""
        return dict(self.validation_errors) or []


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated(Commanded):
    """``update`` is None when there is no row for it (a run that is not current)."""

    update: Update | None = None
    is_wait_over: bool = False


class _MessageAction:
    """What the actions of both kinds share; see ``command_targets.Action``."""

    kind: ClassVar[MessageKind]
    command_type: ClassVar[CommandType]

    def __init__(self, message: Message, contracts: CommandContracts) -> None:
        self._contracts = contracts
        self._sent = message
        self._arguments = message.kept or message.arguments
        self._known_names: frozenset[str] | None = None
        self._errors: JsonMap = {}

    @property
    def request_id(self) -> str | None:
        return self._sent.request_id

    async def prepare(self, run: Run) -> None:
        """Hold the message against the contract of the run."""
        self.hold_against(await self._contracts.of_run(run))

    def hold_against(self, contract: Contract) -> None:
        sent = self._sent
        declared = contract.get(self.kind)
        self._known_names = declared.names if declared else None
        self._arguments, self._errors = sent.kept or sent.arguments, {}
        parameters = declared.parameters.get(sent.name) if declared else None
        is_named = _is_named(sent.arguments)
        if parameters is None and not is_named:
            return
        checked = check_arguments(
            self.kind,
            sent.name,
            arguments=_values(sent.arguments, is_named=is_named),
            parameters=parameters,
        )
        self._errors = dict(checked.errors)
        if is_named and not checked.errors:
            text = orjson.dumps(checked.positional).decode()
            self._arguments = Payload(PLAIN_CODEC, text)

    def errors_of(self, command: Command) -> JsonMap:
        """What is wrong with the arguments, if that is why they were refused."""
        is_refused = command.rejection_reason in (
            CommandRejection.INVALID_SIGNAL_ARGUMENTS,
            CommandRejection.INVALID_UPDATE_ARGUMENTS,
        )
        return self._errors if is_refused else {}

    def repeats(self, command: Command) -> bool:
        sent = self._sent
        known = (self._arguments, sent.arguments, sent.kept)
        return command.target_name == sent.name and (
            sent.is_event or command.payload in known
        )

    def _reject(
        self, draft: Draft, request: MessageRequest, reason: CommandRejection
    ) -> Command:
        """Record the message as refused for what the engine does not see."""
        return reject(
            draft,
            request,
            self.command_type,
            reason=reason,
            target_name=request.name,
            payload=request.arguments,
        )


class SignalAction(_MessageAction):
    kind = MessageKind.SIGNAL
    command_type = CommandType.SIGNAL

    def request(self) -> SignalRequest:
        sent = self._sent
        return SignalRequest(
            namespace=sent.namespace,
            name=sent.name,
            request_id=sent.request_id,
            is_retried=sent.is_event,
            context=sent.context,
            arguments=self._arguments,
            known_names=self._known_names,
            argument_errors=self._errors,
        )

    def decide(self, draft: Draft) -> Commanded:
        received = receive_signal(draft, self.request())
        return self.answer(received.command, received.run)

    def reject(self, draft: Draft, reason: CommandRejection) -> Commanded:
        return self.answer(self._reject(draft, self.request(), reason), draft.run)

    def again(self, draft: Draft, command: Command) -> Commanded:
        return replace(self.answer(command, draft.run), is_repeated=True)

    def answer(self, command: Command, run: Run) -> Commanded:
        return Commanded(
            command=command, run=run, validation_errors=self.errors_of(command)
        )


class UpdateAction(_MessageAction):
    kind = MessageKind.UPDATE
    command_type = CommandType.UPDATE

    def _request(self) -> UpdateRequest:
        sent = self._sent
        return UpdateRequest(
            namespace=sent.namespace,
            name=sent.name,
            request_id=sent.request_id,
            is_retried=sent.is_event,
            context=sent.context,
            arguments=self._arguments,
            known_names=self._known_names,
            argument_errors=self._errors,
        )

    def decide(self, draft: Draft) -> Updated:
        accepted = accept_update(draft, self._request())
        return self.answer(accepted.command, accepted.run, accepted.update)

    def reject(self, draft: Draft, reason: CommandRejection) -> Updated:
        command = self._reject(draft, self._request(), reason)
        return self.answer(command, draft.run, None)

    def again(self, draft: Draft, command: Command) -> Updated:
        """An update that has been closed since is for the caller to look up."""
        update = draft.updates.get(command.sequence)
        is_here = update is not None and update.command_id == command.id
        answer = self.answer(command, draft.run, update if is_here else None)
        return replace(answer, is_repeated=True)

    def answer(self, command: Command, run: Run, update: Update | None) -> Updated:
        errors = self.errors_of(command)
        return Updated(
            command=command, run=run, validation_errors=errors, update=update
        )


def _is_named(arguments: Payload | None) -> bool:
    return (
        arguments is not None
        and arguments.codec == PLAIN_CODEC
        and arguments.data.startswith(_OBJECT)
    )


def _values(
    arguments: Payload | None, *, is_named: bool
) -> list[JsonValue] | dict[str, JsonValue]:
    """Decoded arguments; those of an envelope stand in their order, whatever holds
    them (§13.1)."""
    if arguments is None:
        return []
    value: JsonValue = display(arguments)[1]
    if isinstance(value, dict):
        return value if is_named else list(value.values())
    return value if isinstance(value, list) else [value]
