"""The store as Kubernetes objects: the shared suite, read from caches and read directly, against a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fairlead.store.base import Store
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from unit.store.suite import StoreSuite


class TestInformedStore(StoreSuite):
    """A control plane's."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Iterator[KubernetesStore]:
        with KubernetesStore(api, namespace) as store:
            store.wait_until_loaded(10)
            yield store


class TestDirectStore(StoreSuite):
    """A command's."""

    @pytest.fixture
    def store(self, api: Api, namespace: str) -> Store:
        return KubernetesStore.direct(api, namespace)
