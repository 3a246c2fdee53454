"""Sources of windows, all behind one Protocol (`source.Source`), and what they share.

`from_counters` reads the gateways' own counters, `from_prometheus` counts past scrapes of them, and `from_answers` adds
pairs and classes from the services' answer records. A source makes windows with counts and times. `rollout.observe`
adds what is the same for all sources: the evidence (`policy.evidence`), the ready instances and the custom gates.
"""
