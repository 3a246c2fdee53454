"""Windows since the head, in the route's status: they name the head they were counted under, so the next voids them."""

from __future__ import annotations

from fairlead import errors
from fairlead.contracts.revision import Window
from fairlead.store.kubernetes.kinds import ROUTES, Object
from fairlead.store.kubernetes.ledger import KubernetesLedger
from fairlead.store.kubernetes.session import Session
from fairlead.store.windows import MAX_WINDOWS, condensed


class KubernetesWindows(KubernetesLedger):
    """The rest of `store.base.Ledger`."""

    _session: Session
    _counted: dict[str, tuple[Object, tuple[Window, ...]]]

    def add_window(self, route: str, window: Window) -> None:
        """Remember what was counted since the head; at most 240, older ones merged pairwise."""
        seq = self._head_seq(route)

        def added(status: Object) -> Object:
            analysis = status.get("analysis") or {}
            lines = list(analysis.get("windows") or () if analysis.get("head") == seq else ())
            # The next window carries on what this one carried; kept in both, it would be the most of what is stored.
            lines[-1:] = [_line(Window.model_validate_json(line).passed()) for line in lines[-1:]]
            lines.append(_line(window))
            if len(lines) > MAX_WINDOWS:
                lines = [_line(one) for one in condensed((*self._of(route, status, seq), window))]
            return {**status, "analysis": {"head": seq, "windows": lines}}

        self._session.write_status(ROUTES, route, added)

    def windows(self, route: str) -> list[Window]:
        """The windows since the head, ascending."""
        found = self._session.objects.get(ROUTES, route)
        return list(self._of(route, found.get("status") or {}, self._head_seq(route))) if found else []

    def _head_seq(self, route: str) -> int:
        entries = self._entries(route)
        return entries[-1].seq if entries else 0

    def _of(self, route: str, status: Object, seq: int) -> tuple[Window, ...]:
        analysis = status.get("analysis") or {}
        if not analysis or analysis.get("head") != seq:
            return ()
        known = self._counted.get(route)
        if known is None or known[0] is not analysis:
            try:
                known = (analysis, tuple(Window.model_validate_json(one) for one in analysis.get("windows") or ()))
            except ValueError as error:
                raise errors.Invalid(f"status.analysis of route {route!r} cannot be read: {error}") from error
            self._counted[route] = known
        return known[1]


def _line(window: Window) -> str:
    return window.model_dump_json(by_alias=True, exclude_defaults=True)
