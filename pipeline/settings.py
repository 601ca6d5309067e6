"""What an environment consists of: the settings' names, types and limits, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where tasks.py, config/ and templates/ stand and build/ is made."""

PLACEHOLDER_PROJECT = "your-project-id"

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A group of settings: frozen, no unknown key, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Cluster(Section):
    kind: Literal["gke", "local"]
    namespace: str


class Gcp(Section):
    project: str
    region: str
    zone: str


class Storage(Section):
    kind: Literal["gcs", "folder"]
    bucket: str | None


class Data(Section):
    dataset: Literal["mnist", "digits", "auto"]
    directory: str | None
    mirrors: tuple[str, ...]


class Training(Section):
    model: Literal["cnn", "linear", "fast"]
    steps: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    optimizer: Literal["sgd", "nesterov", "adam"]
    schedule: Literal["constant", "one-cycle"]
    augment_pixels: Annotated[int, Field(ge=0, le=14)]
    precision: Literal["float32", "bfloat16", "auto"]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    checkpoint_every: Positive
    keep_checkpoints: Positive
    backoff_limit: Annotated[int, Field(ge=0)]
    cpu: str
    memory: str


class Serving(Section):
    model_name: str
    address: str
    grpc_port: Port
    rest_port: Port
    poll_seconds: Positive
    replicas: Positive
    image: str
    cpu: str
    memory: str


class WebUi(Section):
    bind: str
    port: Port
    service_port: Port
    service_type: Literal["ClusterIP", "LoadBalancer"]
    replicas: Positive
    cpu: str
    memory: str


class TensorBoard(Section):
    bind: str
    port: Port
    service_port: Port
    cpu: str
    memory: str


class Settings(Section):
    """Everything one environment was given, and the names that follow from it."""

    environment: str
    name: str
    protected: bool
    cluster: Cluster
    gcp: Gcp
    storage: Storage
    data: Data
    training: Training
    serving: Serving
    web_ui: WebUi
    tensorboard: TensorBoard

    @property
    def build(self) -> Path:
        """Where everything made for this environment on this machine lies."""
        return ROOT / "build" / self.environment

    @property
    def bucket(self) -> str:
        """The bucket as the workloads name it: `gs://NAME`, or a folder's absolute path."""
        if self.storage.kind == "folder":
            return str((ROOT / (self.storage.bucket or f"build/{self.environment}/bucket")).absolute())
        return f"gs://{self.storage.bucket or f'{self.gcp.project}-{self.name}-bucket'}"

    @property
    def data_directory(self) -> str:
        """Where the trainer keeps what it downloaded: a volume in a pod, a folder of ours on this machine."""
        return self.data.directory or ("/data" if self.cluster.kind != "local" else str(self.build / "data"))

    @property
    def registry(self) -> str:
        """Artifact Registry's repository for this environment's images."""
        return f"{self.gcp.region}-docker.pkg.dev/{self.gcp.project}/{self.name}"
