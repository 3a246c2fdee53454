"""Commands that run services on one machine refuse the settings that would close their port."""

from __future__ import annotations

import pytest

from fairlead.cli.without_tls import refuse_tls
from fairlead.errors import Refused


def test_variables_that_turn_tls_on_are_named_with_the_command_that_removes_them() -> None:
    environ = {"FAIRLEAD_SERVING_TLS_KEY": "k", "FAIRLEAD_SERVING_TLS_CERT": "c", "FAIRLEAD_SERVING_PORT": "1"}
    with pytest.raises(Refused, match="fairlead up asks its model services without TLS") as refused:
        refuse_tls(environ, "fairlead up")
    assert refused.value.hint == "Unset it: unset FAIRLEAD_SERVING_TLS_CERT FAIRLEAD_SERVING_TLS_KEY"


def test_without_them_nothing_is_refused() -> None:
    refuse_tls({"FAIRLEAD_SERVING_TLS_CERT": "", "FAIRLEAD_SERVING_PORT": "1"}, "fairlead up")
