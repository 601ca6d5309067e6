"""What an environment consists of: the settings' names, types and limits, and what follows from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from pipeline import names, spaces

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where tasks.py, config/ and templates/ stand and build/ is made."""

MANAGED_BY = "kubeflow-mnist-pipeline"
"""What everything that we create bears as a label, in Kubernetes and in Google Cloud."""

PLACEHOLDER_PROJECT = "your-project-id"

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Prefix = Annotated[str, AfterValidator(names.name_prefix)]
Label = Annotated[str, AfterValidator(names.label)]
Namespace = Annotated[str, AfterValidator(names.namespace)]
ServiceName = Annotated[str, AfterValidator(names.service_name)]
Host = Annotated[str, AfterValidator(names.host)]
Image = Annotated[str, AfterValidator(names.image)]
Cpu = Annotated[str, AfterValidator(names.cpu)]
Memory = Annotated[str, AfterValidator(names.memory)]
Text = Annotated[str, AfterValidator(names.text)]


class Section(BaseModel):
    """A group of settings: frozen, no unknown key, no conversion between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Cluster(Section):
    kind: Literal["gke", "existing", "local"]
    namespace: Namespace
    context: Text | None
    autopilot: bool
    nodes: Annotated[int, Field(ge=1, le=1000)]
    max_nodes: Annotated[int, Field(ge=1, le=1000)]
    machine_type: Annotated[str, AfterValidator(names.machine_type)]
    spot: bool
    disk_gb: Annotated[int, Field(ge=20, le=65536)]
    gpu_type: Annotated[str, AfterValidator(names.machine_type)]
    gpu_machine_type: Annotated[str, AfterValidator(names.machine_type)]
    dataplane_v2: bool
    operator: Text


class Gcp(Section):
    project: Annotated[str, AfterValidator(names.project_id)]
    region: Annotated[str, AfterValidator(names.region)]
    zone: Annotated[str, AfterValidator(names.zone)]
    api_address: Annotated[str, AfterValidator(names.url)] | None


class Iap(Section):
    enabled: bool
    members: tuple[Annotated[str, AfterValidator(names.member)], ...]


class Kubeflow(Section):
    components: tuple[Literal["training", "katib", "dashboard", "notebooks"], ...]
    distribution: Text
    katib: Text


class Build(Section):
    tool: Literal["auto", "docker", "cloud-build"]
    platform: Annotated[str, AfterValidator(names.platform)]


class Storage(Section):
    kind: Literal["gcs", "folder"]
    bucket: Text | None


class Data(Section):
    dataset: Literal["mnist", "digits", "auto"]
    directory: Text | None
    mirrors: tuple[Annotated[str, AfterValidator(names.url)], ...]


class Training(Section):
    model: Literal["cnn", "linear", "fast", "accurate"]
    steps: Annotated[int, Field(ge=1, le=10_000_000)]
    batch_size: Annotated[int, Field(ge=1, le=60_000)]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    optimizer: Literal["sgd", "nesterov", "adam"]
    schedule: Literal["constant", "one-cycle"]
    augment_pixels: Annotated[int, Field(ge=0, le=14)]
    precision: Literal["float32", "bfloat16", "auto"]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    checkpoint_every: Annotated[int, Field(ge=1, le=10_000_000)]
    keep_checkpoints: Annotated[int, Field(ge=1, le=10_000)]
    backoff_limit: Annotated[int, Field(ge=0)]
    workers: Annotated[int, Field(ge=0, le=100)]
    parameter_servers: Annotated[int, Field(ge=0, le=100)]
    evaluator: bool
    global_batch: Literal["keep", "scale"]
    gpus: Annotated[int, Field(ge=1, le=16)] | None
    cpu: Cpu
    memory: Memory
    tuned_by: Label | None

    @property
    def replicas(self) -> dict[str, int]:
        """How many there are of each replica type of the TFJob, but for those that it does not have."""
        evaluators = int(self.evaluator)
        counts = {"Chief": 1, "Worker": self.workers, "PS": self.parameter_servers, "Evaluator": evaluators}
        return {kind: count for kind, count in counts.items() if count}

    @property
    def with_gpus(self) -> dict[str, int]:
        """The replicas that get GPUs: those that learn. With parameter servers the chief only deals out the work."""
        learning = ("Worker",) if self.parameter_servers else ("Chief", "Worker")
        return {kind: count for kind, count in self.replicas.items() if kind in learning and self.gpus}

    @property
    def gpu_replicas(self) -> int:
        """How many replicas get GPUs; each wants a machine of its own with them."""
        return sum(self.with_gpus.values())


class Tuning(Section):
    algorithm: Literal["random", "halving"]
    trials: Annotated[int, Field(ge=1, le=1000)]
    parallel: Annotated[int, Field(ge=1, le=32)]
    steps: Annotated[int, Field(ge=1, le=10_000_000)]
    metric: Literal["validation_accuracy", "validation_loss"]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    parameters: Annotated[tuple[spaces.Space, ...], PlainValidator(partial(spaces.read, model=Training))]


class Gate(Section):
    min_accuracy: Share
    max_drop: Share


class Canary(Section):
    image: Image
    replicas: Positive
    first_port: Annotated[int, Field(ge=1024, le=65531)]
    gateway: Annotated[str, AfterValidator(names.gateway)] | None

    @property
    def ports(self) -> range:
        """On this machine: gRPC and REST of the stable server, the same of the canary's, and the router's status."""
        return range(self.first_port, self.first_port + 5)


class Serving(Section):
    kind: Literal["deployment", "kserve"]
    model_name: ServiceName
    address: Host
    grpc_port: Port
    rest_port: Port
    poll_seconds: Positive
    replicas: Positive
    max_replicas: Positive | None
    cpu_percent: Annotated[int, Field(ge=1, le=100)]
    image: Image
    gpus: Annotated[int, Field(ge=1, le=16)] | None
    gpu_image: Image
    cpu: Cpu
    memory: Memory
    gate: Gate
    canary: Canary
    callers: tuple[Annotated[str, AfterValidator(names.caller)], ...]
    managed_prometheus: bool

    @property
    def most_replicas(self) -> int:
        """How many servers there may be at once, besides the one that takes another's place."""
        return self.max_replicas or self.replicas

    @property
    def deployment(self) -> str:
        """The name of the Deployment that runs the server; KServe calls its own so."""
        return f"{self.model_name}-{'serving' if self.kind == 'deployment' else 'predictor'}"

    @property
    def pods(self) -> dict[str, str]:
        """The labels that the server's pods are selected by; KServe keeps `app` for itself."""
        if self.kind == "kserve":
            return {"serving.kserve.io/inferenceservice": self.model_name}
        return {"app": self.model_name}


class WebUi(Section):
    bind: Host
    port: Port
    service_port: Port
    service_type: Literal["ClusterIP", "LoadBalancer"]
    source_ranges: tuple[Annotated[str, AfterValidator(names.address_range)], ...]
    allowed_servers: tuple[Annotated[str, AfterValidator(names.allowed_server)], ...]
    replicas: Positive
    cpu: Cpu
    memory: Memory


class TensorBoard(Section):
    bind: Host
    port: Port
    service_port: Port
    cpu: Cpu
    memory: Memory


class Notebook(Section):
    bind: Host
    port: Port
    service_port: Port
    cpu: Cpu
    memory: Memory


class Settings(Section):
    """Everything one environment was given, and the names that follow from it."""

    environment: Label
    name: Prefix
    protected: bool
    host: Annotated[str, AfterValidator(names.ssh_host)] | None
    identity: Literal["workload-identity", "key-secret"]
    cluster: Cluster
    gcp: Gcp
    storage: Storage
    build_images: Build
    data: Data
    training: Training
    tuning: Tuning
    serving: Serving
    web_ui: WebUi
    tensorboard: TensorBoard
    notebook: Notebook
    iap: Iap
    kubeflow: Kubeflow

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
    def allowed_servers(self) -> tuple[str, ...]:
        """Whom the page may connect to, its own model server first; none where the page's own rule is to hold."""
        own = names.server(self.serving.address, self.serving.grpc_port)
        listed = self.web_ui.allowed_servers
        return tuple(dict.fromkeys((own, *listed))) if listed else ()

    @property
    def notebook_directory(self) -> str:
        """Where Jupyter's notebooks are: the checkout's own, or in a pod a folder that goes with it."""
        return str(ROOT / "notebooks") if self.cluster.kind == "local" else "/home/notebook"

    @property
    def notebook_key(self) -> Path:
        """The file with what Jupyter's page on this machine wants to hear, in the volume that its manifest names."""
        return self.build / "volumes" / "notebook" / "state" / "token"

    @property
    def location(self) -> str:
        """Where the cluster is: Autopilot clusters are regional."""
        return self.gcp.region if self.cluster.autopilot else self.gcp.zone

    @property
    def registry(self) -> str:
        """Artifact Registry's repository for this environment's images."""
        return f"{self.gcp.region}-docker.pkg.dev/{self.gcp.project}/{self.name}"
