"""Clusters are made once for a whole run, so they are known here. Nothing starts before a test asks for it."""

from support.cluster.fixtures import cluster as cluster
from support.cluster.fixtures import control_plane as control_plane
