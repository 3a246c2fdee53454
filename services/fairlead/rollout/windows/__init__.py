"""Where windows come from: each source behind one Protocol (`source.Source`), and what they share.

`counted` cuts the gateways' own counters, `replayed` counts what Prometheus kept, `paired` has what services told of
their answers. A source makes windows of counts and times. What they say (`policy.evidence`), who was ready, and what
custom gates counted is the same for all of them, and `rollout.observe` adds it.
"""
