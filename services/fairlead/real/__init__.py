"""Rehearsals in real time: a scenario played by real processes behind a real Envoy, on loopback, and gone afterwards.

The platform is the very one of `fairlead up`: supervisor, control plane, gateway. What is made up is what answers and
who asks: stand-ins for the two versions, which do what the scenario says, and a bounded generator of requests.
"""
