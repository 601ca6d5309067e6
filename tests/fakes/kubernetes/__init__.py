"""A Kubernetes API on loopback that the real kubectl works with: stateful, strict, and able to go wrong on request."""

from fakes.kubernetes.cluster import Cluster

__all__ = ["Cluster"]
