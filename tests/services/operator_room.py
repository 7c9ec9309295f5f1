"""Operators at a small server: what they send, and what it left behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dwserver.engine.commands.terminal import ContinueAsNew
from dwserver.engine.lifecycle.close import CloseRequest
from dwserver.engine.model import Payload
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandType
from dwserver.services.command_targets import Target
from dwserver.services.messages import Commanded, Message, Updated
from tests.support.small_server import NAMESPACE, SmallServer


def plain(json: str) -> Payload:
    return Payload("json", json)


def a_message(name: str = "approve", **fields: Any) -> Message:
    values: dict[str, Any] = {"namespace": NAMESPACE, "name": name, **fields}
    return Message(**values)


def a_close(
    command_type: CommandType = CommandType.CANCEL, **fields: Any
) -> CloseRequest:
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "command_type": command_type,
        **fields,
    }
    return CloseRequest(**values)


@dataclass(frozen=True, slots=True)
class Operators:
    """``name_run``: commands name the run that is current."""

    server: SmallServer
    name_run: bool = False

    async def target(self, workflow_id: str = "order-1") -> Target:
        find = self.server.services.commands.find_target
        found = await find(NAMESPACE, workflow_id, None)
        assert isinstance(found, Target), found
        if not self.name_run:
            return found
        run_id = found.instance.current_run_id
        named = await find(NAMESPACE, workflow_id, run_id)
        assert isinstance(named, Target), named
        return named

    async def close(self, request: CloseRequest | None = None) -> Commanded:
        return accepted_or_not(
            await self.server.services.commands.close(
                await self.target(), request or a_close()
            )
        )

    async def signal(self, message: Message | None = None) -> Commanded:
        return accepted_or_not(
            await self.server.services.commands.signal(
                await self.target(), message or a_message()
            )
        )

    async def update(self, message: Message | None = None) -> Updated:
        done = await self.server.services.commands.update(
            await self.target(), message or a_message()
        )
        assert not isinstance(done, Rejection), done
        return done

    async def continue_as_new(self) -> str:
        """The open task continues the workflow; the id of the new run."""
        delivery = await self.server.leased()
        await self.server.complete(delivery, [ContinueAsNew()])
        return (await self.target()).instance.current_run_id


def accepted_or_not(done: Commanded | Rejection) -> Commanded:
    """A recorded command."""
    assert not isinstance(done, Rejection), done
    return done


async def command_count(server: SmallServer, run_id: str) -> int:
    """Commands that the run has, its start included."""
    return (await server.state(run_id)).run.command_sequence
