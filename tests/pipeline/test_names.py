"""Names and quantities that Kubernetes or Google Cloud would refuse are refused here first."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import names

RULES = [
    names.label,
    names.service_name,
    names.job_name,
    names.name_prefix,
    names.namespace,
    names.project_id,
]
RULES += [
    names.region,
    names.zone,
    names.bucket_name,
    names.cpu,
    names.memory,
    names.image,
    names.host,
    names.allowed_server,
    names.url,
]


def refusal(rule: Callable[[str], str], text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        rule(text)
    return str(caught.value)


@pytest.mark.parametrize("project", ["my-project", "abc123", "a" * 30, "a-1-b2"])
def test_project_ids_that_google_accepts_pass(project: str) -> None:
    assert names.project_id(project) == project


@pytest.mark.parametrize(
    "project",
    [
        "short",
        "a" * 31,
        "1project",
        "my_project",
        "My-project",
        "project-",
        "example.com:p",
        "12345678",
        "project\n",
    ],
)
def test_fault_4_a_project_id_of_another_form_is_refused(project: str) -> None:
    assert "is not a project id: 6 to 30 lower-case letters" in refusal(names.project_id, project)


def test_fault_4_an_empty_project_id_is_called_empty() -> None:
    assert refusal(names.project_id, "") == "empty; write your Google Cloud project's id"


@pytest.mark.parametrize("rule", [names.label, names.service_name, names.namespace])
def test_fault_13_a_name_has_at_most_63_characters(rule: Callable[[str], str]) -> None:
    assert rule("a" * 63) == "a" * 63
    assert "has 64 characters; at most 63 are allowed" in refusal(rule, "a" * 64)


@pytest.mark.parametrize("text", ["Mnist", "mnist_1", "mnist.1", "-mnist", "mnist-", "", "mn ist", "mnist\n", "ümlaut"])
@pytest.mark.parametrize("rule", [names.label, names.service_name, names.job_name, names.name_prefix])
def test_fault_13_upper_case_underscores_and_other_characters_are_refused(
    rule: Callable[[str], str], text: str
) -> None:
    assert "lower-case letters, digits and hyphens" in refusal(rule, text)


@pytest.mark.parametrize("rule", [names.service_name, names.job_name, names.name_prefix])
def test_fault_13_services_and_jobs_start_with_a_letter(rule: Callable[[str], str]) -> None:
    assert "a letter first" in refusal(rule, "1train")
    assert names.label("1train") == "1train"


def test_fault_13_a_job_leaves_room_for_its_chief() -> None:
    fits = "t" * 55
    assert names.service_name(names.job_name(fits) + "-chief-0")
    assert refusal(names.job_name, fits + "t").endswith(
        'has 56 characters; at most 55 are allowed, for "-chief-0" is appended'
    )


def test_fault_13_kubernetes_own_namespaces_are_refused() -> None:
    assert "belongs to Kubernetes itself" in refusal(names.namespace, "kube-system")
    assert names.namespace("kubeflow") == "kubeflow"


@pytest.mark.parametrize("bucket", ["abc", "a" * 63, "my-project-mnist-bucket", "my_bucket.2", "9lives"])
def test_bucket_names_that_cloud_storage_accepts_pass(bucket: str) -> None:
    assert names.bucket_name(bucket) == bucket


@pytest.mark.parametrize(
    ("bucket", "reason"),
    [
        ("ab", "it has 2 characters, 3 to 63 are allowed"),
        ("a" * 64, "it has 64 characters"),
        ("My-bucket", "only lower-case letters"),
        ("my bucket", "only lower-case letters"),
        ("bucket\n", "only lower-case letters"),
        ("-bucket", "begin and end with a letter or digit"),
        ("bucket_", "begin and end with a letter or digit"),
        ("my..bucket", "a dot stands between letters or digits"),
        ("my.-bucket", "a dot stands between letters or digits"),
        ("192.168.5.4", "it looks like an IP address"),
        ("goog-bucket", "goog… is Google's own"),
        ("my-google-bucket", 'must not contain "google" or a look-alike'),
        ("my-g00gle-bucket", 'must not contain "google" or a look-alike'),
        ("my-goog1e-bucket", 'must not contain "google" or a look-alike'),
        ("gs://bucket", "leave gs:// away"),
    ],
)
def test_fault_14_a_bucket_name_that_cloud_storage_refuses_is_refused(bucket: str, reason: str) -> None:
    message = refusal(names.bucket_name, bucket)
    assert "cannot name a bucket" in message
    assert reason in message


@pytest.mark.parametrize(
    ("zone", "region"),
    [("us-central1-c", "us-central1"), ("northamerica-northeast2-a", "northamerica-northeast2")],
)
def test_zones_and_regions_pass_in_their_own_place_only(zone: str, region: str) -> None:
    assert names.zone(zone) == zone
    assert names.region(region) == region
    assert "is not a zone" in refusal(names.zone, region)
    assert "is not a region" in refusal(names.region, zone)


@pytest.mark.parametrize("text", ["1", "0.5", "1.25", "250m", "16"])
def test_cpu_quantities_pass(text: str) -> None:
    assert names.cpu(text) == text


@pytest.mark.parametrize("text", ["", "0", "0m", "0.0", "2x", "-1", "1.5m", "0.0001", "2 ", "1e3", "2Gi", "one"])
def test_what_is_no_number_of_cpus_is_refused(text: str) -> None:
    assert "CPUs" in refusal(names.cpu, text)


@pytest.mark.parametrize("text", ["1Mi", "512Mi", "4Gi", "1.5Gi", "2G", "1073741824"])
def test_memory_quantities_pass(text: str) -> None:
    assert names.memory(text) == text


@pytest.mark.parametrize("text", ["", "4GB", "4gi", "4 Gi", "-4Gi", "1e9", "512MiB", "100m"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    assert "is not an amount of memory; write 512Mi or 4Gi" in refusal(names.memory, text)


def test_memory_without_its_unit_is_refused() -> None:
    assert refusal(names.memory, "512") == '"512" is less than 1Mi of memory; write 512Mi or 4Gi'


@pytest.mark.parametrize(
    "text",
    [
        "mnist",
        "tensorflow/serving:2.20.0",
        "us-central1-docker.pkg.dev/p-1/mnist/train:1763900000",
        "localhost:5000/a_b/c-d@sha256:" + "0" * 64,
    ],
)
def test_images_pass(text: str) -> None:
    assert names.image(text) == text


@pytest.mark.parametrize(
    "text", ["", "Serving", "a b", "a:", "a:b:c", "https://a/b", "a/b:tag!", "a//b", "a@sha256:12", "a\n"]
)
def test_what_is_no_image_is_refused(text: str) -> None:
    assert "is not an image" in refusal(names.image, text)


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "10.0.0.255", "::1", "mnist-service", "mnist-service.kubeflow.svc", "localhost"]
)
def test_hosts_pass(text: str) -> None:
    assert names.host(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0", "300.1.1.1", "host:9000", "http://host", "a..b", "-a", "a_b", "::1%x", "HOST", "a" * 64],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    assert "is neither an IP address nor a host name" in refusal(names.host, text)


@pytest.mark.parametrize("text", ["https://example.org/mnist/", "http://127.0.0.1:8000", "https://a/b"])
def test_addresses_pass(text: str) -> None:
    assert names.url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "ftp://a/",
        "file:///etc/passwd",
        "https://",
        "http://[",
        "https://a/ b",
        "https://u:p@a/",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert "is not an address" in refusal(names.url, text)


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "nul\0", "esc\x1b[2J", "\ud800"])
def test_text_is_one_printable_line(text: str) -> None:
    assert "write one line of text" in refusal(names.text, text)
    assert names.text("build/my data") == "build/my data"


def test_a_long_text_is_shown_shortened_and_an_escape_is_shown_as_one() -> None:
    assert names.quoted("x" * 5000) == '"' + "x" * 70 + '…"'
    assert names.quoted("a\x1b\nb") == '"a\\x1b\\nb"'


@given(st.sampled_from(RULES), st.text(max_size=80))
def test_a_rule_returns_the_text_unchanged_or_says_one_printable_sentence(
    rule: Callable[[str], str], text: str
) -> None:
    try:
        assert rule(text) == text
        assert text.isascii() and text.isprintable()
    except ValueError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize("text", ["mnist-service:9000", "*.kubeflow:9000", "10.0.0.7:1", "[fd00::7]:65535", "a.b.c:80"])
def test_servers_that_the_page_may_be_allowed_pass(text: str) -> None:
    assert names.allowed_server(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mnist-service", "is not a server; write host:port, or *.namespace:port for a whole namespace"),
        ("mnist-service:", "is not a server; "),
        ("mnist-service:0", "is not a server; "),
        ("mnist-service:65536", "is not a server; "),
        ("http://mnist:9000", "is not a server; "),
        ("fd00::7:9000", "is not a server; "),
        ("a:1,b:2", "is not a server; "),
        ("*:9000", "is neither an IP address nor a host name"),
        ("*.:9000", "is neither an IP address nor a host name"),
        ("*.kube.flow:9000", "cannot be a name here"),
        ("[mnist]:9000", "is not a server; "),
        ("[abc]:9000", "is not a server; "),
        ("169.254.169.254:80", "is at an address that no model server may have; write the server's own"),
        ("0.0.0.0:9000", "is at an address that no model server may have"),
        ("[fe80::1]:9000", "is at an address that no model server may have"),
        ("224.0.0.1:9000", "is at an address that no model server may have"),
    ],
)
def test_what_is_no_server_that_the_page_may_be_allowed_is_refused(text: str, says: str) -> None:
    assert says in refusal(names.allowed_server, text)
