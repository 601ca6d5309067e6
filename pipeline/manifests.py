"""Jinja to manifests: rendered, parsed, labelled and written again in a form that every YAML reader agrees on."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pipeline import endpoint, images, kserve, placement, served, tracks, trials
from pipeline.aliases import Canary
from pipeline.errors import PipelineError
from pipeline.settings import MANAGED_BY, ROOT, Settings

TEMPLATES = ROOT / "templates"

COMPONENTS = ("marker", "identity", "preflight", "train", "serving", "service", "protection", "stable", "canary",
              "router", "routes", "web-ui", "iap", "tensorboard", "notebook", "tune")  # fmt: skip
"""Every template, in the order in which the stages apply them."""

LOCAL = ("train", "serving", "service", "stable", "canary", "router", "web-ui", "tensorboard", "notebook")
"""What this machine can run: it has no accounts, no load balancer, and nobody else to be told from."""

Manifest = dict[str, Any]

SAFE_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE)
"""Keys that every reader takes for the same text without quotes: the manifests stay easy to read."""


class Plain(yaml.SafeDumper):
    """Writes every string value in double quotes: PyYAML and kubectl differ on plain `1e3`, `y`, `0o17`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            if SAFE_KEY.fullmatch(key.value):
                key.style = None
        return node


Plain.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def components(settings: Settings) -> tuple[str, ...]:
    """Those of COMPONENTS that the environment has."""
    if settings.cluster.kind == "local":
        return LOCAL
    absent = {"routes"} if settings.serving.canary.gateway is None else {"stable", "router"}
    absent |= set() if settings.iap.enabled else {"iap"}
    absent |= {"stable", "canary", "router", "routes"} if settings.serving.kind == "kserve" else set()
    return tuple(name for name in COMPONENTS if name not in absent)


def context(
    settings: Settings, tag: str, digests: Mapping[str, str], state: served.Served, trial: Canary | None
) -> dict[str, Any]:
    """What a template may name: the settings' sections and what follows from them."""
    values = {name: getattr(settings, name) for name in type(settings).model_fields}
    following = ("bucket", "data_directory", "notebook_directory", "location", "allowed_servers")
    derived = {name: getattr(settings, name) for name in following}
    public = {
        "public_host": endpoint.host(settings), "public_address_name": endpoint.address_name(settings),
        "page_address_name": endpoint.page_address_name(settings),
    }  # fmt: skip
    used = {name: image(settings, name, digests) for name in images.IMAGES}
    config = served.text(settings.serving.model_name, f"{settings.bucket}/export", state)
    split = tracks.context(settings, trial)
    return {**values, **derived, **public, **split, "images": used, "tag": tag, "models_config": config}


def image(settings: Settings, name: str, digests: Mapping[str, str]) -> str:
    """An image of ours by its digest where that is known, else by its tag."""
    return f"{settings.registry}/{name}@{digests[name]}" if name in digests else images.reference(settings, name)


def render(
    settings: Settings,
    component: str,
    tag: str,
    digests: Mapping[str, str] | None = None,
    state: served.Served | None = None,
    trial: Canary | None = None,
) -> list[Manifest]:
    """One component's manifests for an environment and a version tag.

    `digests` pins images of ours by name, as in `{"train": "sha256:…"}`: a tag can be moved, a digest cannot. `state`
    is what the model server is to serve, the version alone unless given; `trial` the version that shares the requests
    with the stable one, which the Service leads past unless given.

    Raises PipelineError naming the template's file and line for an undefined variable, a syntax error, or output
    that is not a list of Kubernetes objects.
    """
    name = f"{component}.yaml.j2"
    try:
        source = templates(TEMPLATES).get_template(name)
        text = source.render(context(settings, tag, digests or {}, state or served.only(tag), trial))
    except jinja2.TemplateSyntaxError as error:
        raise PipelineError(f"templates/{name}:{error.lineno}: {error.message}") from None
    except jinja2.UndefinedError as error:
        line = line_in(error, name)
        raise PipelineError(f"templates/{name}:{line}: {error.message}; every name must be a setting") from None
    documents = hashed(parse(text, name), settings)
    for template in (template for document in documents for template in pod_templates(document)):
        placement.placed(template, settings, component)
    if tracks.has_server(settings, component):
        documents = [*tracks.server(settings, component, render(settings, "serving", tag, digests, state)), *documents]
    if component == "tune":
        documents[0]["spec"]["trialTemplate"]["trialSpec"] = trial_job(settings, f"tune-{tag}", digests)
    return [run_by(settings, label(document, settings, component)) for document in documents]


@functools.cache
def templates(folder: Path) -> jinja2.Environment:
    """A folder's templates, each read and compiled once unless its file changes."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, autoescape=False,  # noqa: S701
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["tojson"] = quoted
    return made


def run_by(settings: Settings, manifest: Manifest) -> Manifest:
    """The manifest, or KServe's in the place of the model server's Deployment where that is wanted."""
    server = (manifest["kind"], manifest["metadata"]["labels"]["app.kubernetes.io/name"]) == ("Deployment", "serving")
    return kserve.inference_service(settings, manifest) if server and settings.serving.kind == "kserve" else manifest


def trial_job(settings: Settings, experiment: str, digests: Mapping[str, str] | None) -> Manifest:
    """The TFJob of an experiment's trials: what `train` renders, with placeholders for what is searched for."""
    values = trials.trained(settings, trials.placeholders(settings), settings.tuning.steps)
    return trials.for_katib(settings, render(values, "train", "0", digests)[0], experiment)


def hashed(documents: list[Manifest], settings: Settings) -> list[Manifest]:
    """The documents, pod templates annotated with a hash of the ConfigMaps: Kubernetes restarts no pod for those.

    What is looked at again by itself is left out of the hash: a promotion restarts nothing, and here neither does
    another share for a canary, for the router that stands in nginx's place looks at its file too.
    """
    reread = (served.FILE, *(["nginx.conf"] if settings.cluster.kind == "local" else []))
    maps = [document["data"] for document in documents if document["kind"] == "ConfigMap"]
    config = [{name: text for name, text in data.items() if name not in reread} for data in maps]
    if config:
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
        for template in (template for document in documents for template in pod_templates(document)):
            template.setdefault("metadata", {}).setdefault("annotations", {})["pipeline/config-hash"] = digest
    return documents


def quoted(value: object) -> str:
    """A value as YAML in one line; Jinja's own `tojson` writes a character beyond U+FFFF as two halves."""
    if isinstance(value, str):
        return str(yaml.dump(value, default_style='"', width=float("inf"))).rstrip("\n")
    return json.dumps(value)


def line_in(error: BaseException, name: str) -> int:
    """The template's line in a rendering error: Jinja puts its templates into the traceback."""
    line, frame = 0, error.__traceback__
    while frame:
        if frame.tb_frame.f_code.co_filename.endswith(name):
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where there is one: ten times as fast."""


class Unique(Loader):  # type: ignore[misc,valid-type]
    """Refuses a key given twice: PyYAML and kubectl both keep the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for number, key in enumerate(keys) if key in keys[:number]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f'"{twice}" is given twice', node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def parse(text: str, name: str) -> list[Manifest]:
    """The rendered text's documents; PipelineError where it is not YAML or not Kubernetes objects."""
    try:
        documents = [document for document in yaml.load_all(text, Unique) if document is not None]
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise PipelineError(f"templates/{name}, rendered line {line}: {error.problem}") from None
    for document in documents:
        if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
            raise PipelineError(f"templates/{name}: a document without apiVersion, kind and metadata")
    return documents


def label(manifest: Manifest, settings: Settings, component: str) -> Manifest:
    """The same manifest with our labels, on itself and on the pods that it describes."""
    labels = {
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/part-of": settings.name,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "pipeline/environment": settings.environment,
    }
    for described in (manifest, *pod_templates(manifest)):
        metadata = described.setdefault("metadata", {})
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
    return manifest


def pod_templates(manifest: Manifest) -> list[Manifest]:
    """The pod templates inside a Deployment, a Job, a TFJob, the TFJob of an Experiment's trials, or KServe's."""
    if manifest["kind"] == "InferenceService":
        return [kserve.pod_template(manifest)]
    if manifest["kind"] == "Experiment":
        manifest = manifest["spec"]["trialTemplate"].get("trialSpec", {"kind": "none yet"})
    if manifest["kind"] == "TFJob":
        return [replica["template"] for replica in manifest["spec"]["tfReplicaSpecs"].values()]
    return [manifest["spec"]["template"]] if manifest["kind"] in ("Deployment", "Job") else []


def dump(documents: list[Manifest]) -> str:
    """The documents as YAML text that PyYAML, kubectl and a reader take for the same."""
    return yaml.dump_all(documents, Dumper=Plain, sort_keys=False, width=10_000, explicit_start=True)
