"""The mixin: rules, alerts and dashboards for installations that put their monitoring together with Jsonnet."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.settings import Settings

_TEXT = """\
// Written by `python -m monitoring`; change monitoring/*.py instead.
{
  _config+:: {
    fairlead+: {
      // Where the pages of the alerts are.
      runbooks: '%(runbooks)s',
    },
  },
  prometheusRules+:: {
    groups+: std.parseYaml(importstr 'rules/fairlead-recording.yaml').groups,
  },
  prometheusAlerts+:: {
    groups+: std.parseYaml(
      std.strReplace(importstr 'rules/fairlead-alerts.yaml', '%(runbooks)s', $._config.fairlead.runbooks)
    ).groups,
  },
  grafanaDashboardFolder:: 'Fairlead',
  grafanaDashboards+:: {
%(dashboards)s
  },
}
"""


def text(settings: Settings, uids: Sequence[str]) -> str:
    """The file `mixin.libsonnet`, which imports the files of these dashboards and of the rules."""
    dashboards = "\n".join(f"    '{uid}.json': import 'dashboards/{uid}.json'," for uid in uids)
    return _TEXT % {"runbooks": settings.runbooks, "dashboards": dashboards}
