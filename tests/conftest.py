"""Settings and fixtures for all tests.

The cluster fixtures are registered here because one cluster serves a whole run. It starts when a test first uses it.
"""

from hypothesis import HealthCheck, settings

from support.cluster.fixtures import cluster as cluster
from support.cluster.fixtures import control_plane as control_plane

# No deadline for a Hypothesis example: its time depends on how busy the machine is. Benchmarks measure time, and the
# timeout of the whole test ends one that hangs.
settings.register_profile("fairlead", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("fairlead")
