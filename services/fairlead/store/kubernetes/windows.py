"""Windows since the head, stored in the route's status with the head's number. A new head makes them invalid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead import errors
from fairlead.contracts.window import Window
from fairlead.store.kubernetes.kinds import ROUTES, Object
from fairlead.store.kubernetes.ledger import KubernetesLedger
from fairlead.store.kubernetes.session import Session
from fairlead.store.windows import MAX_WINDOWS, condensed


@dataclass(frozen=True, slots=True)
class PendingWindows:
    """Windows to be written with the next status, with the head and the lease transition they were counted in."""

    head: int
    term: int
    windows: tuple[Window, ...]


class KubernetesWindows(KubernetesLedger):
    """The windows of `store.base.Ledger`."""

    _session: Session
    _counted: dict[str, Mapping[str, Window]]
    """By route: the parsed windows of its stored lines."""
    _pending: dict[str, PendingWindows]

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        """Store a window counted since the head. At most 240 windows are kept; older ones are merged pairwise.

        Raises Conflict if this process does not lead.
        """
        term, head = self._session.fence.token(), self._head_seq(route)
        waiting = self._waiting(route, head)
        more = PendingWindows(head, term, (*(one.without_state() for one in waiting), window))
        if at_once:
            self._session.write_status(
                ROUTES, route, lambda status: {**status, **self._analysis(route, status, head, more.windows)}
            )
            self._pending.pop(route, None)
        else:
            self._pending[route] = more

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending, including those that are not written yet."""
        found = self._session.objects.get(ROUTES, route)
        if found is None:
            return []
        head = self._head_seq(route)
        lines = self._lines(route, found.get("status") or {}, head, self._waiting(route, head))
        windows = self._parsed_windows(route, lines)
        self._counted[route] = dict(zip(lines, windows, strict=True))
        return windows

    def _head_seq(self, route: str) -> int:
        entries = self._entries(route)
        return entries[-1].seq if entries else 0

    def _waiting(self, route: str, head: int) -> tuple[Window, ...]:
        """Windows that are not written yet. Those of an earlier head or an earlier transition are never written."""
        known = self._pending.get(route)
        if known is None:
            return ()
        try:
            term = self._session.fence.token()
        except errors.Conflict:
            return ()
        return known.windows if (known.head, known.term) == (head, term) else ()

    def _analysis(self, route: str, status: Object, head: int, more: Sequence[Window]) -> Object:
        """The status's `analysis` with more windows added. Windows of an earlier head are dropped."""
        analysis = status.get("analysis") or {}
        if more:
            return {"analysis": {"head": head, "windows": self._lines(route, status, head, more)}}
        return {"analysis": analysis} if analysis and int(analysis.get("head") or 0) >= head else {}

    def _lines(self, route: str, status: Object, head: int, more: Sequence[Window]) -> list[str]:
        analysis = status.get("analysis") or {}
        lines: list[str] = list(analysis.get("windows") or () if analysis.get("head") == head else ())
        added = [_line(window) for window in more]
        if not added or lines[-len(added) :] == added:
            return lines  # an earlier attempt wrote them, but its response was lost
        # The new window carries the evidence state on. Stored in both, the state would be most of the data.
        lines[-1:] = [_line(one.without_state()) for one in self._parsed_windows(route, lines[-1:])]
        lines += added
        return lines if len(lines) <= MAX_WINDOWS else list(map(_line, condensed(self._parsed_windows(route, lines))))

    def _parsed_windows(self, route: str, lines: Sequence[str]) -> list[Window]:
        """Parse the lines; lines that were parsed before come from the cache."""
        known = self._counted.get(route, {})
        try:
            return [known.get(line) or Window.model_validate_json(line) for line in lines]
        except ValueError as error:
            raise errors.Invalid(f"status.analysis of route {route!r} cannot be read: {error}") from error


def _line(window: Window) -> str:
    return window.model_dump_json(by_alias=True, exclude_defaults=True)
