"""Waiting in an event loop of asyncio, without threads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import SendTicket


async def ticket(ticket: SendTicket) -> int:
    """`await ticket`."""
    if not ticket.done():
        loop = asyncio.get_running_loop()
        told = loop.create_future()

        def wake() -> None:
            if not told.done():  # the task may have been cancelled
                told.set_result(None)

        def call(_: SendTicket) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:
                pass  # the loop was closed, and nobody waits there

        ticket.add_done_callback(call)
        await told
    return ticket.result()
