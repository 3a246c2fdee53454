"""Requests that wait for a cold version: what they are told, and what the engine is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, ScaleToZero
from fairlead.control.holds import Holds
from fairlead.rollout.ports import GatewayState
from unit.rollout.policy.builders import V1, V2, V3, a_head, a_route

PATH = "/hold/models/iris/predict"


@dataclass
class World:
    """A store with one route, and one gateway."""

    head_now: Revision
    serves: int
    requests: int = 2
    wait: float = 5.0
    reachable: bool = True
    leads: bool = True

    def change_token(self) -> object:
        return 1

    def routes(self) -> list[Route]:
        route = a_route("1.0.0")
        limits = ScaleToZero(wait=self.wait, requests=self.requests)
        return [route.model_copy(update={"spec": route.spec.model_copy(update={"scale_to_zero": limits})})]

    def head(self, route: str) -> Revision | None:
        return self.head_now

    def gateways(self) -> list[GatewayState]:
        return [GatewayState("edge", self.reachable, {"iris": self.serves})]

    def set_cold(self, *cold: Any, serves: int | None = None) -> None:
        seq = self.head_now.seq + 1
        table = self.head_now.table.model_copy(update={"cold": cold})
        self.head_now = self.head_now.model_copy(update={"seq": seq, "table": table})
        self.serves = seq if serves is None else serves


def a_world(*cold: Any, **more: Any) -> World:
    world = World(a_head(), 0, **more)
    world.set_cold(*cold)
    return world


@dataclass
class Asked:
    """One request of the gateway."""

    left: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Message] = field(default_factory=list)
    is_read: bool = False

    async def receive(self) -> Message:
        if not self.is_read:
            self.is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def text(self) -> str:
        return str(self.sent[1]["body"].decode())


def start(holds: Holds, path: str = PATH, **headers: str) -> tuple[Asked, asyncio.Task[None]]:
    asked = Asked()
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "method": "POST", "headers": raw}
    return asked, asyncio.create_task(holds(scope, asked.receive, asked.send))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def play(world: World, story: Callable[[Holds], Awaitable[None]]) -> None:
    asyncio.run(story(Holds(world, world.gateways, leads=lambda: world.leads)))  # type: ignore[arg-type]


def test_a_request_for_a_warm_version_goes_on_at_once() -> None:
    async def story(holds: Holds) -> None:
        asked, task = start(holds)
        await task
        assert (asked.status, asked.text, set(holds.asked())) == (200, "", set())

    play(a_world(V2), story)


def test_a_request_for_a_cold_version_goes_on_when_every_gateway_knows_that_it_is_ready() -> None:
    world = a_world(V1)

    async def story(holds: Holds) -> None:
        token = holds.change_token()
        asked, task = start(holds)
        await until(lambda: bool(holds.asked()))
        assert set(holds.asked()) == {("iris", V1)}
        assert holds.change_token() != token, "the loop would not tick"
        world.set_cold(serves=world.serves)
        await asyncio.sleep(0.1)
        assert asked.sent == [], "the gateway would still hold it, or not know the instance"
        world.serves = world.head_now.seq
        await task
        assert (asked.status, set(holds.asked())) == (200, set())

    play(world, story)


def test_a_request_that_names_a_version_waits_for_that_one() -> None:
    async def story(holds: Holds) -> None:
        _, by_header = start(holds, x_model_version="1.1.0")
        _, by_path = start(holds, "/hold/v2/models/iris/versions/1.2.0/infer")
        await until(lambda: len(holds.asked()) == 2)
        assert {ref for _, ref in holds.asked()} == {V2, V3}
        holds.close()
        await asyncio.gather(by_header, by_path)

    play(a_world(V1, V2, V3), story)


def test_more_than_may_wait_are_refused_at_once() -> None:
    async def story(holds: Holds) -> None:
        waiting = [start(holds)[1] for _ in range(2)]
        await until(lambda: bool(holds.asked()))
        await asyncio.sleep(0.1)
        asked, task = start(holds)
        await task
        assert asked.status == 403
        assert asked.text == "iris 1.0.0 is cold, and 2 requests wait for it already"
        assert (b"retry-after", b"5") in asked.sent[0]["headers"]
        holds.close()
        await asyncio.gather(*waiting)

    play(a_world(V1), story)


def test_a_request_waits_no_longer_than_the_route_says() -> None:
    async def story(holds: Holds) -> None:
        asked, task = start(holds)
        await task
        assert (asked.status, asked.text) == (403, "iris 1.0.0 is cold, and did not start in 50ms")
        assert set(holds.asked()) == set()

    play(a_world(V1, wait=0.05), story)


def test_a_client_that_leaves_makes_room_and_wakes_nothing_any_more() -> None:
    async def story(holds: Holds) -> None:
        asked, task = start(holds)
        await until(lambda: bool(holds.asked()))
        asked.left.set()
        await task
        assert set(holds.asked()) == set()

    play(a_world(V1), story)


def test_a_control_plane_that_ends_lets_the_gateway_ask_the_next_one() -> None:
    async def story(holds: Holds) -> None:
        asked, task = start(holds)
        await until(lambda: bool(holds.asked()))
        holds.close()
        await task
        late, again = start(holds)
        await again
        assert (asked.status, late.status) == (503, 503)

    play(a_world(V1), story)


def test_a_replica_that_does_not_lead_has_the_gateway_ask_again_over_another_connection() -> None:
    """It neither starts versions nor knows what gateways serve, so that a warm version is no question for it either."""

    async def story(holds: Holds) -> None:
        asked, task = start(holds)
        await task
        assert (asked.status, set(holds.asked())) == (503, set())
        assert (b"connection", b"close") in asked.sent[0]["headers"]

    play(a_world(V1, leads=False), story)


def test_a_replica_that_no_longer_leads_has_the_gateway_ask_again_for_all_that_wait() -> None:
    world = a_world(V1)

    async def story(holds: Holds) -> None:
        waiting = [start(holds) for _ in range(2)]
        await until(lambda: bool(holds.asked()))
        world.leads = False
        await asyncio.gather(*(task for _, task in waiting))
        assert [asked.status for asked, _ in waiting] == [503, 503]
        assert set(holds.asked()) == set()

    play(world, story)


def test_while_requests_wait_the_loop_ticks_every_half_second_although_nothing_in_the_store_changes() -> None:
    now = [100.0]

    async def story() -> None:
        world = a_world(V1)
        holds = Holds(world, world.gateways, monotonic=lambda: now[0])
        idle = holds.change_token()
        now[0] += 0.6
        assert holds.change_token() == idle
        _, task = start(holds)
        await until(lambda: bool(holds.asked()))
        first = holds.change_token()
        assert holds.change_token() == first
        now[0] += 0.6
        assert holds.change_token() not in (idle, first)
        holds.close()
        await task

    asyncio.run(story())
