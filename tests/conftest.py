"""What holds for every test.

Clusters are made once for a whole run, so they are known here. Nothing starts before a test asks for it.
"""

from hypothesis import HealthCheck, settings

from support.cluster.fixtures import cluster as cluster
from support.cluster.fixtures import control_plane as control_plane

# How fast an example is says how busy the machine is. Benchmarks measure time; a test's own limit ends what hangs.
settings.register_profile("fairlead", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("fairlead")
