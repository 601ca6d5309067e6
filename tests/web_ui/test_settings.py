"""The variables of docs/containers.md, as the UI reads them."""

from __future__ import annotations

import pytest

from webui.allowed import Allowed, Namespace
from webui.servers import Server
from webui.settings import Settings, SettingsError


def test_without_variables_the_defaults_are_the_contracts() -> None:
    settings = Settings.from_environ({})
    assert settings == Settings("mnist", "mnist-service", 9000, "", "", Allowed((Server("mnist-service", 9000),)), {})


def test_only_the_configured_server_is_allowed_by_default() -> None:
    settings = Settings.from_environ({"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": "9001"})
    assert settings.allowed.entries == (Server("127.0.0.1", 9001),)


def test_the_configured_servers_namespace_is_allowed_at_its_port_where_it_is_known() -> None:
    settings = Settings.from_environ({"MODEL_SERVER_NAMESPACE": "kubeflow", "MODEL_SERVER_PORT": "9001"})
    assert settings.allowed.entries == (Server("mnist-service", 9001), Namespace("kubeflow", 9001))
    assert settings.allowed.home == "kubeflow"


def test_beside_a_server_of_this_machine_no_namespace_is_allowed() -> None:
    variables = {"MODEL_SERVER_NAMESPACE": "kubeflow", "MODEL_SERVER_ADDRESS": "127.0.0.1"}
    assert Settings.from_environ(variables).allowed.entries == (Server("127.0.0.1", 9000),)


def test_the_list_names_every_server_the_form_may_name() -> None:
    listed = "mnist-service:9000, canary:9000,[::1]:9000,canary:9000,*.models:9001,"
    settings = Settings.from_environ({"ALLOWED_MODEL_SERVERS": listed})
    servers = (Server("mnist-service", 9000), Server("canary", 9000), Server("::1", 9000))
    assert settings.allowed.entries == (*servers, Namespace("models", 9001))


def test_a_list_takes_the_place_of_the_namespace() -> None:
    variables = {"MODEL_SERVER_NAMESPACE": "kubeflow", "ALLOWED_MODEL_SERVERS": "mnist-service.kubeflow.svc:9000"}
    settings = Settings.from_environ(variables)  # which is mnist-service:9000 in another spelling
    assert settings.allowed.entries == (Server("mnist-service.kubeflow.svc", 9000),)


def test_the_servers_of_single_versions_are_read_by_name_and_need_no_place_on_the_list() -> None:
    given = "stable=mnist-stable:9000, canary=[::1]:9012,"
    settings = Settings.from_environ({"MODEL_VERSION_SERVERS": given})
    assert settings.version_servers == {"stable": Server("mnist-stable", 9000), "canary": Server("::1", 9012)}
    assert not settings.allowed.permits(Server("mnist-stable", 9000))


def test_empty_variables_count_as_not_given() -> None:
    names = ("MODEL_NAME", "MODEL_SERVER_PORT", "MODEL_SERVER_NAMESPACE", "ALLOWED_MODEL_SERVERS")
    assert Settings.from_environ(dict.fromkeys((*names, "MODEL_VERSION_SERVERS"), "")) == Settings()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MODEL_SERVER_PORT": "70000"}, "MODEL_SERVER_PORT is '70000'; it must be a whole number"),
        ({"MODEL_SERVER_ADDRESS": "http://x"}, "MODEL_SERVER_ADDRESS is 'http://x'; it must be a host name"),
        (
            {"ALLOWED_MODEL_SERVERS": "mnist-service"},
            r"write host:port or \*\.namespace:port, with commas between them",
        ),
        ({"ALLOWED_MODEL_SERVERS": "*:9000"}, r"'\*' is no host name; write host:port or"),
        ({"ALLOWED_MODEL_SERVERS": "*.a.b:9000"}, r"'a\.b' is no namespace; write host:port or"),
        ({"MODEL_SERVER_NAMESPACE": "Kubeflow"}, "MODEL_SERVER_NAMESPACE is 'Kubeflow'; it must be a namespace"),
        ({"MODEL_VERSION_SERVERS": "stable=mnist-stable"}, "'mnist-stable' is not host:port; write stable=host:port,"),
        ({"MODEL_VERSION_SERVERS": "mnist-stable:9000"}, "MODEL_VERSION_SERVERS: '' is not host:port; write stable="),
        ({"MODEL_VERSION_SERVERS": "a=b:1,a=c:1"}, "each server needs a name of its own before the ="),
        ({"MODEL_VERSION_SERVERS": "=b:1"}, "each server needs a name of its own before the ="),
        ({"ALLOWED_MODEL_SERVERS": "canary:9000"}, "leaves out mnist-service:9000"),
    ],
)
def test_a_wrong_variable_is_named_with_what_would_be_right(variables: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.from_environ(variables)
