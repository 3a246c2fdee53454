"""Changes of the world of `fairlead doctor`: each is taken back at the end of its block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fairlead import errors
from fairlead.cli.doctor.kinds import SCALED_OBJECTS
from fairlead.store.kubernetes.kinds import Kind, Object
from integration.kubernetes.doctor_world import NAMESPACE, World
from support.processes import wait_until


@contextmanager
def changed(world: World, kind: Kind, name: str, change: Object, namespace: str = NAMESPACE) -> Iterator[None]:
    """Change an object; afterwards it is as it was."""
    before = world.api.get(kind, namespace, name)
    world.api.patch(kind, namespace, name, change)
    try:
        yield
    finally:
        now = world.api.get(kind, namespace, name)
        metadata = {**before["metadata"], "resourceVersion": now["metadata"]["resourceVersion"]}
        world.api.replace(kind, namespace, name, {**before, "metadata": metadata})


@contextmanager
def created(world: World, kind: Kind, body: Object, namespace: str = NAMESPACE) -> Iterator[None]:
    world.api.create(kind, namespace, body)
    try:
        yield
    finally:
        world.api.delete(kind, namespace, body["metadata"]["name"])


@contextmanager
def deleted(world: World, kind: Kind, name: str, namespace: str = NAMESPACE) -> Iterator[None]:
    before = world.api.get(kind, namespace, name)
    world.api.delete(kind, namespace, name, propagation="Orphan")
    try:
        yield
    finally:
        wait_until(lambda: not exists(world, kind, namespace, name), f"{name} is gone")
        metadata = {key: before["metadata"].get(key) or {} for key in ("name", "labels", "annotations")}
        world.api.create(kind, namespace, {**before, "metadata": metadata})
        if kind is SCALED_OBJECTS:
            world.write_status(kind, name, Ready=(True, "ready"))


def exists(world: World, kind: Kind, namespace: str, name: str) -> bool:
    try:
        return bool(world.api.get(kind, namespace, name))
    except errors.NotFound:
        return False


@contextmanager
def conditions(world: World, kind: Kind, name: str, **planted: tuple[bool, str]) -> Iterator[None]:
    before = world.api.get(kind, NAMESPACE, name)["status"]["conditions"]
    world.write_status(kind, name, **planted)
    try:
        yield
    finally:
        world.api.patch(kind, NAMESPACE, name, {"status": {"conditions": before}}, part="status")


@contextmanager
def answered(world: World, path: str, answer: Object) -> Iterator[None]:
    """Plant an answer of the API server."""
    world.says[path] = answer
    try:
        yield
    finally:
        del world.says[path]


@contextmanager
def upgraded(world: World, release: str, chart: str, values: dict[str, Any], then: dict[str, Any]) -> Iterator[None]:
    world.helm(release, chart, values)
    try:
        yield
    finally:
        world.helm(release, chart, then)


def pods_with(**spec: Any) -> Object:
    """A change of the pods of a Deployment."""
    return {"spec": {"template": {"spec": spec}}}
