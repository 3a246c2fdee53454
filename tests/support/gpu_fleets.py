"""GPU nodes as eight kinds of cluster label and taint them, and what a pod of the model chart may ask of them.

The labels here are written from the documentation of the clouds, not from charts/model/pools: tests compare the two.
A `Machine` is what a node is; `allowed` compares it with a `Request` and looks at no label.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.cluster.fake_nodes import fake_node

GPU = "nvidia.com/gpu"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of GPU in one cloud: its name in the chart's values, the label's value there, and its memory in MiB."""

    name: str
    label: str
    memory: int
    is_part: bool = False
    """Whether the cloud divides a GPU among such machines, and sells each as one with it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a GPU node is."""

    cloud: str
    product: Product
    devices: int
    slice: str = ""
    spot: bool = False
    pool: str = "gpu"
    zone: str = "a"
    tainted: bool = True
    """Whether its administrator tainted it as the cloud's documentation proposes."""
    reserved: bool = False
    """Whether another team tainted it for itself."""
    broken: bool = False
    """Whether the device plugin does not run, so that the node has no devices."""

    @property
    def memory(self) -> int:
        """What its label says: of a MIG slice, in the strategy `single`, that of the slice."""
        if self.slice[:1].isdigit() and self.cloud in ("gfd", "openshift"):
            return int(self.slice.partition(".")[2].removesuffix("gb")) * 1024 - 512
        return self.product.memory


@dataclass(frozen=True, slots=True)
class Request:
    """The values `workload.gpu` of a pod."""

    cloud: str
    count: int = 1
    product: str = ""
    memory_gib: int = 0
    slice: str = ""
    capacity: str = ""
    pool: str = ""
    zones: tuple[str, ...] = ()

    def values(self) -> Object:
        """As values of the chart."""
        memory = f"{self.memory_gib}Gi" if self.memory_gib else ""
        return {
            "pool": self.cloud, "count": self.count, "product": self.product, "memory": memory, "slice": self.slice,
            "capacity": self.capacity, "nodePool": self.pool, "zones": list(self.zones),
        }  # fmt: skip


def suits(request: Request, machine: Machine) -> bool:
    """Whether the pod may run on the machine by what it is, however large or full it is."""
    kept_off = machine.spot and request.capacity == "" and _keeps_others_off(machine)
    in_kind = request.slice == machine.slice
    return in_kind and suits_by_labels(request, machine) and not kept_off and not machine.reserved


def suits_by_labels(request: Request, machine: Machine) -> bool:
    """Whether its labels allow the pod; its resources may not."""
    return (
        request.cloud == machine.cloud
        and not machine.product.is_part
        and (request.slice == machine.slice or _only_resources_tell(request, machine))
        and request.product in ("", machine.product.name)
        and request.memory_gib * 1024 <= machine.memory
        and request.capacity in ("", "spot" if machine.spot else "on-demand")
        and request.pool in ("", machine.pool)
        and (not request.zones or machine.zone in request.zones)
    )


def allowed(request: Request, machine: Machine) -> bool:
    """Whether the pod may run on the machine while it is empty."""
    return suits(request, machine) and not machine.broken and request.count <= machine.devices


def node(machine: Machine, name: str, more: Mapping[str, str] | None = None) -> Object:
    """The Node object of a machine."""
    cloud = CLOUDS[machine.cloud]
    labels, taints, resource = cloud.describe(machine)
    devices = {} if machine.broken else {resource: str(machine.devices)}
    zone = {"topology.kubernetes.io/zone": machine.zone}
    found = fake_node(name, labels={**zone, **labels, **(more or {})}, capacity=devices, tainted=False)
    if machine.reserved:
        taints = [*taints, _taint("team", "vision")]
    found["spec"]["taints"] = taints
    return found


def machines(draw: random.Random, cloud: str, count: int) -> list[Machine]:
    """Random machines of one cloud."""
    known = CLOUDS[cloud]

    def one() -> Machine:
        kind = draw.choice(("", "", *known.slices))
        products = [each for each in known.products if _may_be_sliced(each, kind)]
        return Machine(
            cloud,
            draw.choice(products),
            draw.choice((1, 2, 4, 8)),
            kind,
            spot=known.has_spot and draw.random() < 0.4,
            pool=draw.choice(("gpu", "other")),
            zone=draw.choice("abc"),
            tainted=draw.random() < 0.7,
            reserved=draw.random() < 0.1,
            broken=draw.random() < 0.1,
        )

    return [one() for _ in range(count)]


def requests(draw: random.Random, cloud: str, fleet: list[Machine], count: int) -> list[Request]:
    """Random requests; most ask for something that one of the machines is."""
    return [_request(draw, CLOUDS[cloud], cloud, draw.choice(fleet)) for _ in range(count)]


def _request(draw: random.Random, known: Cloud, cloud: str, like: Machine) -> Request:
    def sometimes(value: Any, nothing: Any, chance: float = 0.5) -> Any:
        return value if draw.random() < chance else nothing

    kind = sometimes(like.slice, draw.choice(("", *known.slices)), 0.9)
    # The chart refuses a slice that no GPU of the product has.
    products = [each for each in known.products if _may_be_sliced(each, kind)]
    other = draw.choice(products)
    product = sometimes(like.product if like.product in products else other, other, 0.8).name
    memory = draw.choice((like.memory // 1024, like.memory // 1024 + 1, 90)) if known.has_memory else 0
    return Request(
        cloud,
        count=1 if kind else draw.choice((1, 1, like.devices, 8)),
        product=sometimes(product, "", 0.6),
        memory_gib=sometimes(memory, 0, 0.3),
        slice=kind,
        capacity=sometimes("spot" if like.spot else "on-demand", "", 0.6) if known.has_spot else "",
        pool=sometimes(like.pool, "", 0.4) if known.has_pool else "",
        zones=sometimes((like.zone,), sometimes(("b", "c"), ()), 0.3),
    )


# clouds


Described = tuple[dict[str, str], list[Object], str]


@dataclass(frozen=True)
class Cloud:
    """One kind of cluster: its GPUs and slices, and how it labels and taints a machine."""

    describe: Callable[[Machine], Described]
    products: tuple[Product, ...]
    slices: tuple[str, ...] = ()
    has_spot: bool = True
    has_pool: bool = True
    has_memory: bool = False


def _gke(machine: Machine) -> Described:
    labels = {
        "cloud.google.com/gke-accelerator": machine.product.label,
        "cloud.google.com/gke-nodepool": machine.pool,
        "cloud.google.com/gke-accelerator-count": str(machine.devices),
    }
    taints = [_taint(GPU, "present")]
    if machine.spot:
        labels |= {"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}
        taints += [_taint("cloud.google.com/gke-spot", "true")] if machine.tainted else []
    if machine.slice in ("time-sliced", "mps"):
        strategy = {"time-sliced": "time-sharing", "mps": "mps"}[machine.slice]
        labels |= {"cloud.google.com/gke-gpu-sharing-strategy": strategy}
        labels |= {"cloud.google.com/gke-max-shared-clients-per-gpu": "2"}
    elif machine.slice:
        labels["cloud.google.com/gke-gpu-partition-size"] = machine.slice
    return labels, taints, GPU


def _eks_karpenter(machine: Machine, group: str = "karpenter.k8s.aws") -> Described:
    labels = {
        f"{group}/instance-family": "g6f" if machine.product.is_part else "any",
        f"{group}/instance-gpu-name": machine.product.label,
        f"{group}/instance-gpu-manufacturer": "nvidia",
        f"{group}/instance-gpu-count": str(machine.devices),
        f"{group}/instance-gpu-memory": str(machine.product.memory),
        "karpenter.sh/nodepool": machine.pool,
        "karpenter.sh/capacity-type": "spot" if machine.spot else "on-demand",
    }
    return labels, [_taint(GPU, "true")] if machine.tainted else [], GPU


def _eks_auto(machine: Machine) -> Described:
    labels, taints, resource = _eks_karpenter(machine, "eks.amazonaws.com")
    return {**labels, "eks.amazonaws.com/compute-type": "auto"}, taints, resource


def _eks_managed(machine: Machine) -> Described:
    labels = {
        "node.kubernetes.io/instance-type": machine.product.label,
        "eks.amazonaws.com/nodegroup": machine.pool,
        "eks.amazonaws.com/capacityType": "SPOT" if machine.spot else "ON_DEMAND",
    }
    return labels, [_taint(GPU, "")] if machine.tainted else [], GPU


def _aks(machine: Machine) -> Described:
    labels = {
        "node.kubernetes.io/instance-type": machine.product.label,
        "kubernetes.azure.com/agentpool": machine.pool,
        "kubernetes.azure.com/accelerator": "nvidia",
    }
    taints = [_taint("sku", "gpu")] if machine.tainted else []
    if machine.spot:
        labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        taints.append(_taint("kubernetes.azure.com/scalesetpriority", "spot"))
    return labels, taints, f"nvidia.com/mig-{machine.slice}" if machine.slice else GPU


def _gfd(machine: Machine) -> Described:
    product, sharing, strategy, more = machine.product.label, "none", "single", {}
    if machine.slice in ("time-sliced", "mps"):
        product, sharing = f"{product}-SHARED", {"time-sliced": "time-slicing", "mps": "mps"}[machine.slice]
    elif machine.slice:
        product = f"{product}-MIG-{machine.slice}"
        more = {"nvidia.com/gpu.slices.gi": machine.slice[0], "nvidia.com/gpu.slices.ci": machine.slice[0]}
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": str(machine.devices),
        "nvidia.com/gpu.memory": str(machine.memory),
        "nvidia.com/gpu.sharing-strategy": sharing,
        "nvidia.com/mig.capable": "true" if machine.slice[:1].isdigit() else "false",
        "nvidia.com/mig.strategy": strategy,
        **more,
    }
    return labels, [_taint(GPU, "true")] if machine.tainted else [], GPU


def _gfd_mig_mixed(machine: Machine) -> Described:
    if not machine.slice[:1].isdigit():
        labels, taints, resource = _gfd(machine)
        return {**labels, "nvidia.com/mig.strategy": "mixed"}, taints, resource
    labels = {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": machine.product.label,
        "nvidia.com/gpu.memory": str(machine.memory),
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.strategy": "mixed",
        f"nvidia.com/mig-{machine.slice}.count": str(machine.devices),
    }
    return labels, [_taint(GPU, "true")] if machine.tainted else [], f"nvidia.com/mig-{machine.slice}"


def _openshift(machine: Machine) -> Described:
    labels, taints, resource = _gfd(machine)
    spot = {"machine.openshift.io/interruptible-instance": ""} if machine.spot else {}
    return {**labels, **spot}, taints, resource


def _taint(key: str, value: str) -> Object:
    return {"key": key, "effect": "NoSchedule", **({"value": value} if value else {})}


def _only_resources_tell(request: Request, machine: Machine) -> bool:
    """Whether the kinds of GPU differ in the name of the resource, and no label says which a node has."""
    mixed = machine.cloud == "gfd-mig-mixed" and not request.slice and machine.slice[:1].isdigit()
    return machine.cloud == "aks" or mixed


def _may_be_sliced(product: Product, kind: str) -> bool:
    return not kind[:1].isdigit() or product.memory > 70_000


def _keeps_others_off(machine: Machine) -> bool:
    """Whether spot nodes of the cloud have a taint, so that only pods that ask for spot run there."""
    return machine.cloud == "aks" or (machine.cloud == "gke" and machine.tainted)


def _products(**known: tuple[int, str]) -> tuple[Product, ...]:
    def each() -> Iterator[Product]:
        for name, (memory, labels) in known.items():
            yield from (Product(name.replace("_", "-"), label, memory) for label in labels.split())

    return tuple(each())


_GFD = _products(
    t4=(15360, "Tesla-T4"),
    l4=(23034, "NVIDIA-L4"),
    a100_40gb=(40960, "NVIDIA-A100-SXM4-40GB NVIDIA-A100-PCIE-40GB"),
    a100_80gb=(81920, "NVIDIA-A100-SXM4-80GB NVIDIA-A100-80GB-PCIe"),
    h100=(81559, "NVIDIA-H100-80GB-HBM3"),
    h200=(143771, "NVIDIA-H200"),
)
_EKS = (
    *_products(t4=(15360, "t4"), a10g=(22888, "a10g"), l4=(22888, "l4"), l40s=(45776, "l40s"), a100=(40960, "a100"),
               h100=(81920, "h100")),
    Product("a100", "a100", 81920),
    Product("l4", "l4", 5722, is_part=True),
)  # fmt: skip
_SHARED = ("time-sliced", "mps", "1g.10gb", "3g.40gb")
CLOUDS: dict[str, Cloud] = {
    "gke": Cloud(
        _gke,
        _products(
            t4=(15360, "nvidia-tesla-t4"), l4=(23034, "nvidia-l4"), a100_40gb=(40960, "nvidia-tesla-a100"),
            a100_80gb=(81920, "nvidia-a100-80gb"), h100=(81559, "nvidia-h100-80gb nvidia-h100-mega-80gb"),
            h200=(143771, "nvidia-h200-141gb"), b200=(183359, "nvidia-b200"),
        ),
        _SHARED,
    ),
    "eks-karpenter": Cloud(_eks_karpenter, _EKS, has_memory=True),
    "eks-auto": Cloud(_eks_auto, _EKS, has_memory=True),
    "eks-managed": Cloud(
        _eks_managed,
        (*_products(t4=(15360, "g4dn.xlarge g4dn.12xlarge"), a10g=(22888, "g5.2xlarge"),
                    l4=(22888, "g6.xlarge g6.48xlarge"), a100_40gb=(40960, "p4d.24xlarge"),
                    a100_80gb=(81920, "p4de.24xlarge"), h100=(81920, "p5.48xlarge")),
         Product("l4", "g6f.2xlarge", 5722, is_part=True)),
    ),
    "aks": Cloud(
        _aks,
        _products(t4=(15360, "Standard_NC4as_T4_v3"), a100_80gb=(81920, "Standard_NC24ads_A100_v4"),
                  h100=(81920, "Standard_NC40ads_H100_v5 Standard_ND96isr_H100_v5")),
        ("1g.10gb", "3g.40gb"),
    ),
    "gfd": Cloud(_gfd, _GFD, _SHARED, has_spot=False, has_pool=False, has_memory=True),
    "gfd-mig-mixed": Cloud(_gfd_mig_mixed, _GFD, _SHARED, has_spot=False, has_pool=False, has_memory=True),
    "openshift": Cloud(_openshift, _GFD, _SHARED, has_pool=False, has_memory=True),
}  # fmt: skip
