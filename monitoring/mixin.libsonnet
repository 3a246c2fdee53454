// Written by `python -m monitoring`; change monitoring/*.py instead.
{
  _config+:: {
    fairlead+: {
      // Where the pages of the alerts are.
      runbooks: 'https://github.com/fairlead/fairlead/blob/main/monitoring/runbooks',
    },
  },
  prometheusRules+:: {
    groups+: std.parseYaml(importstr 'rules/fairlead-recording.yaml').groups,
  },
  prometheusAlerts+:: {
    groups+: std.parseYaml(
      std.strReplace(importstr 'rules/fairlead-alerts.yaml', 'https://github.com/fairlead/fairlead/blob/main/monitoring/runbooks', $._config.fairlead.runbooks)
    ).groups,
  },
  grafanaDashboardFolder:: 'Fairlead',
  grafanaDashboards+:: {
    'fairlead-fleet.json': import 'dashboards/fairlead-fleet.json',
    'fairlead-model.json': import 'dashboards/fairlead-model.json',
    'fairlead-drift.json': import 'dashboards/fairlead-drift.json',
    'fairlead-rollout.json': import 'dashboards/fairlead-rollout.json',
    'fairlead-capacity.json': import 'dashboards/fairlead-capacity.json',
    'fairlead-platform.json': import 'dashboards/fairlead-platform.json',
  },
}
