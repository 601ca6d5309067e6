"""Every environment's manifests: as expected, valid against the schemas, and safe from odd values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import images, manifests
from pipeline.clusters import withdrawal
from pipeline.config import load
from pipeline.errors import PipelineError
from pipeline.program import environments
from pipeline.settings import MANAGED_BY, ROOT, Settings
from schemas import check_probes, check_restricted, check_schema  # type: ignore[import-not-found]

EXPECTED = Path(__file__).parent / "expected"
TAG = "1763900000"
EVERY = [
    (environment, component)
    for environment in environments()
    for component in manifests.components(load(environment).settings)
]
IAP = ("iap.enabled=true", "iap.members=[user:ann@example.org]")
EXISTING = ("cluster.kind=existing", "cluster.context=kind-mine", "identity=key-secret")
VARIANTS = {
    "as it stands": (),
    "Autopilot": ("cluster.autopilot=true",),
    "Spot": ("cluster.spot=true",),
    "Autopilot on Spot": ("cluster.autopilot=true", "cluster.spot=true"),
    "GPUs": ("training.gpus=2",),
    "workers": ("training.workers=2", "training.gpus=1"),
    "parameter servers": ("training.workers=2", "training.parameter_servers=2", "training.evaluator=true"),
    "a key": ("identity=key-secret",),
    "IAP": IAP,
    "a load balancer": ("web_ui.service_type=LoadBalancer", "web_ui.source_ranges=[203.0.113.0/24]"),
    "an existing cluster": EXISTING,
    "a Gateway": ("serving.canary.gateway=gateways/internal", "serving.address=serving.example.org"),
    "a server that grows": ("serving.replicas=2", "serving.max_replicas=5", "serving.cpu_percent=50"),
    "a server with GPUs": ("serving.gpus=2", "serving.callers=[istio-system,130.211.0.0/22]"),
    "Google's Prometheus": ("serving.managed_prometheus=true",),
    "KServe": ("serving.kind=kserve", "serving.max_replicas=3", "cluster.spot=true", "cluster.autopilot=true"),
    "KServe with GPUs and a key": (*EXISTING, "serving.kind=kserve", "serving.gpus=1"),
    "halving": ("tuning.algorithm=halving", "tuning.metric=validation_loss", "tuning.trials=30", "tuning.parallel=32"),
    "all at once": (*IAP, "cluster.autopilot=true", "cluster.spot=true", "training.gpus=1", "identity=key-secret"),
}
"""Settings that shape manifests, by what they are about."""
DIGESTS = {name: f"sha256:{number * 64}" for number, name in zip("123", images.IMAGES, strict=True)}


def rendered(environment: str, component: str, *changes: str) -> list[dict[str, Any]]:
    return manifests.render(load(environment, changes).settings, component, TAG)


def told(documents: list[dict[str, Any]]) -> str:
    """The manifests as a file says them: without this checkout's place and today's code hashes."""
    text = manifests.dump(documents).replace(str(ROOT), "/checkout")
    return re.sub(r"/(train|web-ui|notebook):[0-9a-f]{12}", r"/\1:<code>", text)


@pytest.mark.parametrize(("environment", "component"), EVERY)
def test_the_manifest_is_the_expected_file(environment: str, component: str, pytestconfig: pytest.Config) -> None:
    path = EXPECTED / environment / f"{component}.yaml"
    if pytestconfig.getoption("--write-expected"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(told(rendered(environment, component)))
    assert told(rendered(environment, component)) == path.read_text()


def test_every_expected_file_belongs_to_an_environment_and_a_component() -> None:
    files = {(name, path.stem) for name in environments() for path in (EXPECTED / name).glob("*.yaml")}
    assert files == set(EVERY)


@pytest.mark.parametrize("component", manifests.COMPONENTS)
@pytest.mark.parametrize("environment", environments())
def test_the_manifest_is_valid_and_its_pods_are_restricted(environment: str, component: str) -> None:
    for document in rendered(environment, component):
        check_schema(document)
        for template in manifests.pod_templates(document):
            check_restricted(template)


@pytest.mark.parametrize("component", manifests.COMPONENTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_run_it_gives_valid_manifests_and_restricted_pods(variant: str, component: str) -> None:
    settings = load("staging", VARIANTS[variant]).settings
    for document in manifests.render(settings, component, TAG, DIGESTS):
        check_schema(document)
        assert document["metadata"]["namespace"] == settings.cluster.namespace
        for template in manifests.pod_templates(document):
            check_restricted(template)


def test_every_member_of_a_training_is_the_same_but_for_its_role() -> None:
    (job,) = rendered("staging", "train", *VARIANTS["parameter servers"])
    replicas = job["spec"]["tfReplicaSpecs"]
    assert {kind: one["replicas"] for kind, one in replicas.items()} == {
        "Chief": 1,
        "Worker": 2,
        "PS": 2,
        "Evaluator": 1,
    }
    for kind, one in replicas.items():
        assert one["restartPolicy"] == "ExitCode"
        labels = one["template"]["metadata"]["labels"]
        assert labels.pop("app.kubernetes.io/component") == kind.lower()
        (container,) = one["template"]["spec"]["containers"]
        assert container["ports"] == [{"name": "tfjob-port", "containerPort": 2222}]
    templates = [one["template"] for one in replicas.values()]
    assert all(template == templates[0] for template in templates)


def test_a_training_by_one_process_has_a_chief_and_nobody_else() -> None:
    (job,) = rendered("staging", "train")
    assert list(job["spec"]["tfReplicaSpecs"]) == ["Chief"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_that_is_put_into_a_cluster_is_taken_out_of_one_that_stays(variant: str) -> None:
    settings = load("staging", VARIANTS[variant]).settings
    made = [one for name in manifests.components(settings) for one in manifests.render(settings, name, TAG)]
    plurals = {re.sub("ys$", "ies", re.sub("sss$", "sses", one["kind"].lower() + "s")) for one in made}
    assert plurals <= {kind.partition(".")[0] for kind in withdrawal.INSIDE}


@pytest.mark.parametrize(("environment", "component"), EVERY)
def test_every_server_has_its_probes(environment: str, component: str) -> None:
    for document in rendered(environment, component):
        for template in manifests.pod_templates(document) if document["kind"] == "Deployment" else []:
            check_probes(template)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda job: job["spec"].update(replicas=1),
        lambda job: job["spec"]["tfReplicaSpecs"]["Chief"].update(restartPolicy="Sometimes"),
        lambda job: job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"].update(container=[]),
        lambda job: job["spec"]["runPolicy"].update(backoffLimit="3"),
        lambda job: job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0].update(name="main"),
        lambda job: job["metadata"].update(name="1-starts-with-a-digit"),
    ],
)
def test_a_broken_tfjob_is_not_valid(break_it: Any) -> None:
    (job,) = rendered("staging", "train")
    break_it(job)
    with pytest.raises(AssertionError):
        check_schema(job)


@pytest.mark.parametrize(
    ("number", "break_it"),
    [
        (0, lambda config: config["spec"].update(iapp={})),
        (0, lambda config: config["spec"]["iap"].update(enabled="true")),
        (0, lambda config: config["spec"]["healthCheck"].update(port="5000")),
        (0, lambda config: config.update(apiVersion="cloud.google.com/v2")),
        (1, lambda certificate: certificate["spec"].update(domains=[])),
        (1, lambda certificate: certificate["spec"].update(domains=["*.example.org"])),
        (1, lambda certificate: certificate["spec"].update(domains=["a" * 60 + ".org"])),
        (2, lambda ingress: ingress["spec"]["rules"][0]["http"]["paths"][0].pop("pathType")),
        (2, lambda ingress: ingress["metadata"].update(name="Web_UI")),
        (2, lambda ingress: ingress["metadata"]["labels"].update(app="a" * 64)),
    ],
)
def test_a_broken_way_in_is_not_valid(number: int, break_it: Any) -> None:
    document = rendered("staging", "iap", *IAP)[number]
    break_it(document)
    with pytest.raises(AssertionError):
        check_schema(document)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda spec: spec["objective"].update(type="best"),
        lambda spec: spec["objective"]["metricStrategies"][0].update(value="last"),
        lambda spec: spec.update(parallelTrialCount=10),
        lambda spec: spec.update(maxFailedTrialCount=10),
        lambda spec: spec.update(resumePolicy="Sometimes"),
        lambda spec: spec["parameters"][0]["feasibleSpace"].update(max=0.1),
        lambda spec: spec["parameters"][0]["feasibleSpace"].update(distribution="log"),
        lambda spec: spec["parameters"][1]["feasibleSpace"].update(min="1"),
        lambda spec: spec["trialTemplate"].update(primaryContainerName="main"),
        lambda spec: spec["trialTemplate"]["trialParameters"].pop(),
        lambda spec: spec["trialTemplate"]["trialParameters"][1].update(reference="rate"),
        lambda spec: spec["trialTemplate"]["trialSpec"].update(metadata={"name": "mine"}),
        lambda spec: spec["trialTemplate"]["trialSpec"]["spec"]["tfReplicaSpecs"]["Chief"].update(restartPolicy="No"),
    ],
)
def test_a_broken_experiment_is_not_valid(break_it: Any) -> None:
    (experiment,) = rendered("staging", "tune")
    break_it(experiment["spec"])
    with pytest.raises(AssertionError):
        check_schema(experiment)


def test_a_trial_on_a_cluster_is_placed_as_the_training_is() -> None:
    settings = load("staging", VARIANTS["all at once"]).settings
    (experiment,), (job,) = (manifests.render(settings, component, TAG, DIGESTS) for component in ("tune", "train"))
    (trial,), (training,) = manifests.pod_templates(experiment), manifests.pod_templates(job)
    for template in (trial, training):
        del template["spec"]["containers"][0]["args"]
    assert trial["spec"] == training["spec"]


def test_poor_trials_of_katibs_are_stopped_early_and_looked_at_on_their_way() -> None:
    (plain,), (halved,) = rendered("staging", "tune"), rendered("staging", "tune", "tuning.algorithm=halving")
    assert "earlyStopping" not in plain["spec"]
    assert halved["spec"]["earlyStopping"]["algorithmName"] == "medianstop"
    args = manifests.pod_templates(halved)[0]["spec"]["containers"][0]["args"]
    assert f"--tf-checkpoint-every={600 // 9}" in args


def test_what_a_shell_would_read_otherwise_is_quoted_in_a_trials_arguments() -> None:
    """Katib puts the arguments into one line for `sh -c`."""
    (experiment,) = rendered("staging", "tune", "data.mirrors=[https://example.org/a;b/]")
    args = manifests.pod_templates(experiment)[0]["spec"]["containers"][0]["args"]
    assert "'--tf-mirrors=https://example.org/a;b/'" in args


def test_an_unknown_kind_is_not_valid() -> None:
    with pytest.raises(AssertionError, match="no schema"):
        check_schema({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "x"}})


def test_a_pod_that_may_be_root_is_not_restricted() -> None:
    (job,) = rendered("staging", "train")
    template = manifests.pod_templates(job)[0]
    template["spec"]["securityContext"]["runAsNonRoot"] = False
    with pytest.raises(AssertionError, match="runAsNonRoot"):
        check_restricted(template)


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_server_without_a_probe_is_found(probe: str) -> None:
    (template,) = manifests.pod_templates(rendered("staging", "web-ui")[0])
    del template["spec"]["containers"][0][probe]
    with pytest.raises(AssertionError, match=probe):
        check_probes(template)


@pytest.mark.parametrize("image", ["busybox", "busybox:latest", "example.org:5000/busybox"])
def test_an_image_without_a_version_is_found(image: str) -> None:
    (job,) = rendered("staging", "preflight")
    template = manifests.pod_templates(job)[0]
    template["spec"]["containers"][0]["image"] = image
    with pytest.raises(AssertionError, match=r"latest|no tag"):
        check_restricted(template)


def test_fault_11_an_undefined_variable_names_the_template_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.yaml.j2").write_text("kind: TFJob\nname: {{ training.stepz }}\n")
    monkeypatch.setattr(manifests, "TEMPLATES", tmp_path)
    with pytest.raises(PipelineError, match=r"templates/train\.yaml\.j2:2: .*stepz") as caught:
        rendered("local", "train")
    assert caught.value.code == 2


@pytest.mark.parametrize("text", ["kind: {% if %}", "a: [", "a: 1\na: 2", "- a list", "just text", "kind: Pod"])
def test_a_template_that_gives_no_kubernetes_object_is_one_sentence(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.yaml.j2").write_text(text)
    monkeypatch.setattr(manifests, "TEMPLATES", tmp_path)
    with pytest.raises(PipelineError, match=r"^templates/train\.yaml\.j2"):
        rendered("local", "train")


def values(document: Any) -> list[Any]:
    """Every leaf of a manifest."""
    if isinstance(document, dict):
        return [leaf for value in document.values() for leaf in values(value)]
    return [leaf for value in document for leaf in values(value)] if isinstance(document, list) else [document]


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() or "\n" in text or '"' in text))
def test_fault_12_a_value_never_becomes_a_field(text: str) -> None:
    settings = load("staging").settings
    serving = settings.serving.model_copy(update={"address": text})
    strange: Settings = settings.model_copy(update={"serving": serving})
    before, after = (manifests.render(one, "web-ui", TAG) for one in (settings, strange))
    variables = after[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert variables[1] == {"name": "MODEL_SERVER_ADDRESS", "value": text}
    assert len(values(after)) == len(values(before))


@given(st.recursive(st.text() | st.integers() | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_dumped_reads_back_the_same(value: Any) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"value": value}}
    assert yaml.safe_load(manifests.dump([document])) == document


@pytest.mark.parametrize(
    "text", ["1e3", "y", "no", "0o17", "12:34:56", "2026-01-01", "null", "~", "1_000", "0x1F", ".5"]
)
def test_strings_that_readers_disagree_on_are_quoted(text: str) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"value": text}}
    assert f'value: "{text}"' in manifests.dump([document])


def test_everything_is_labelled_with_its_environment() -> None:
    for environment, component in EVERY:
        for document in rendered(environment, component):
            for described in (document, *manifests.pod_templates(document)):
                assert described["metadata"]["labels"]["pipeline/environment"] == environment
                assert described["metadata"]["labels"]["app.kubernetes.io/managed-by"] == MANAGED_BY


def test_an_images_tag_changes_with_its_sources_and_with_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = images.content_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert images.content_hash(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    assert images.content_hash(tmp_path) != before
