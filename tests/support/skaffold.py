"""A strict model of skaffold.yaml: the part of Skaffold's schema v4beta13 that we use.

A field that this model does not have is an error. Before you use one, look it up in Skaffold's schema and add it here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True)


class HostHook(_Strict):
    command: Annotated[list[str], Field(min_length=1)]
    dir: str = ""


class BuildHooks(_Strict):
    before: list[HostHook] = []
    after: list[HostHook] = []


class Docker(_Strict):
    dockerfile: str
    target: str = ""
    build_args: dict[str, str] = {}


class Artifact(_Strict):
    image: str
    context: str = "."
    docker: Docker
    hooks: BuildHooks = BuildHooks()


class TagPolicy(_Strict):
    input_digest: dict[str, Any]


class Local(_Strict):
    push: bool | None = None
    use_buildkit: bool | None = None


class Build(_Strict):
    artifacts: list[Artifact] = []
    tag_policy: TagPolicy | None = None
    local: Local | None = None


class Manifests(_Strict):
    raw_yaml: list[str] = []


class Release(_Strict):
    name: str
    chart_path: str
    namespace: str
    wait: bool = False
    values_files: list[str] = []
    set_value_templates: dict[str, str] = {}


class Helm(_Strict):
    releases: list[Release]


class Deploy(_Strict):
    helm: Helm
    status_check_deadline_seconds: int = 0
    tolerate_failures_until_deadline: bool = False


class VerifyContainer(_Strict):
    name: str
    image: str
    command: list[str] = []
    args: list[str] = []


class InCluster(_Strict):
    kubernetes_cluster: dict[str, Any]


class Verify(_Strict):
    name: str
    timeout: int
    container: VerifyContainer
    execution_mode: InCluster


class Activation(_Strict):
    env: str = ""
    kube_context: str = ""
    command: str = ""


class Patch(_Strict):
    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: Annotated[str, Field(pattern="^/")]
    value: Any = None


class Profile(_Strict):
    name: str
    activation: list[Activation] = []
    build: Build | None = None
    patches: list[Patch] = []


class Metadata(_Strict):
    name: str


class Skaffold(_Strict):
    """The content of skaffold.yaml."""

    api_version: Literal["skaffold/v4beta13"]
    kind: Literal["Config"]
    metadata: Metadata
    build: Build
    manifests: Manifests
    deploy: Deploy
    verify: list[Verify]
    profiles: list[Profile]

    def releases_of(self, profile: str) -> list[Release]:
        """The Helm releases with the patches of a profile applied."""
        (chosen,) = (known for known in self.profiles if known.name == profile)
        releases = [release.model_copy(deep=True) for release in self.deploy.helm.releases]
        for patch in chosen.patches:
            *_, number, field = patch.path.split("/")
            setattr(releases[int(number)], {"valuesFiles": "values_files"}[field], patch.value)
        return releases
