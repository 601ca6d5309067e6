"""What to serve and how to watch it: tensorflow_model_server's two configuration files, in protobuf text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

from serving.errors import StartError
from serving.flags import Flags
from serving.messages import ModelServerConfig

METRICS_PATH = "/monitoring/prometheus/metrics"  # tensorflow_serving/util/prometheus_exporter.cc


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions to serve: the `latest` so many, or all, or exactly `specific`."""

    latest: int = 1
    every: bool = False
    specific: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModelConfig:
    """One model: its name, the folder of its versions, which of them, and names for some of them."""

    name: str
    base_path: Path
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)


def models_from_flags(flags: Flags) -> tuple[ModelConfig, ...]:
    """The models that the command line asks for; --model_config_file wins, as in tensorflow_model_server."""
    if flags.model_config_file is None:
        config = ModelServerConfig()
        config.model_config_list.config.add(
            name=flags.model_name, base_path=flags.model_base_path, model_platform="tensorflow"
        )
    else:
        config = _read(flags.model_config_file, ModelServerConfig(), "a ModelServerConfig")
    try:
        return models_from_message(config)
    except ValueError as error:
        raise StartError(f"{flags.model_config_file or '--model_base_path'}: {error}") from error


def models_from_message(config: ModelServerConfig) -> tuple[ModelConfig, ...]:
    """The models of a ModelServerConfig, from a file or a reload request; ValueError says what is wrong."""
    if config.WhichOneof("config") != "model_config_list":
        raise ValueError("only model_config_list is supported, and it must be there.")
    models = tuple(_model(one) for one in config.model_config_list.config)
    names = [model.name for model in models]
    for name in names:
        if names.count(name) > 1:  # the words of server_core.cc, ValidateModelConfigList
            raise ValueError(f"Illegal to list model {name} multiple times in config list")
    return models


def metrics_path(flags: Flags) -> str | None:
    """Where the REST port shows its metrics, or None when nobody asked for them."""
    if flags.monitoring_config_file is None:
        return None
    config = _read(flags.monitoring_config_file, _monitoring_message()(), "a MonitoringConfig").prometheus_config
    if config.enable and not flags.rest_api_port:
        raise StartError("--monitoring_config_file needs --rest_api_port: metrics are read over HTTP.")
    return (config.path or METRICS_PATH) if config.enable else None


def _model(one: Message) -> ModelConfig:
    if not one.name or not one.base_path:
        raise ValueError("every model needs a name and a base_path.")
    if one.model_platform not in ("", "tensorflow"):
        raise ValueError(f'model {one.name}: model_platform is "{one.model_platform}", only "tensorflow" is served.')
    if "://" in one.base_path:
        raise ValueError(
            f"model {one.name}: {one.base_path} is no folder of this machine; "
            "the embedded server reads folders only, tensorflow_model_server reads buckets."
        )
    return ModelConfig(one.name, Path(one.base_path), _policy(one), dict(one.version_labels))


def _policy(one: Message) -> VersionPolicy:
    policy = one.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(every=True)
        case "specific":
            if not policy.specific.versions:
                raise ValueError(f"model {one.name}: specific needs at least one version.")
            return VersionPolicy(specific=tuple(policy.specific.versions))
        case _:
            return VersionPolicy(latest=policy.latest.num_versions or 1)


def _read(path: Path, message: Message, what: str) -> Message:
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except OSError as error:
        raise StartError(f"{path}: cannot be read ({error.strerror}); it should be {what}.") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: is not {what} in protobuf's text form: {error}") from error


@cache
def _monitoring_message() -> type[Message]:
    """MonitoringConfig of config/monitoring_config.proto, which tensorflow-serving-api leaves out."""
    text = """
      name: "serving/monitoring_config.proto" package: "serving.embedded" syntax: "proto3"
      message_type { name: "PrometheusConfig"
        field { name: "enable" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL }
        field { name: "path" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
      message_type { name: "MonitoringConfig"
        field { name: "prometheus_config" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
                type_name: ".serving.embedded.PrometheusConfig" } }
    """
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(text, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("serving.embedded.MonitoringConfig"))
