"""The variables of docs/containers.md, as the UI reads them."""

from __future__ import annotations

import pytest

from webui.servers import Server
from webui.settings import Settings, SettingsError


def test_without_variables_the_defaults_are_the_contracts() -> None:
    settings = Settings.from_environ({})
    assert settings == Settings("mnist", "mnist-service", 9000, "", "", (Server("mnist-service", 9000),))


def test_only_the_configured_server_is_allowed_by_default() -> None:
    settings = Settings.from_environ({"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": "9001"})
    assert settings.allowed == (Server("127.0.0.1", 9001),)


def test_the_list_names_every_server_the_form_may_name() -> None:
    listed = "mnist-service:9000, canary:9000,[::1]:9000,canary:9000,"
    settings = Settings.from_environ({"ALLOWED_MODEL_SERVERS": listed})
    assert [str(server) for server in settings.allowed] == ["mnist-service:9000", "canary:9000", "[::1]:9000"]


def test_empty_variables_count_as_not_given() -> None:
    assert Settings.from_environ({"MODEL_NAME": "", "MODEL_SERVER_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MODEL_SERVER_PORT": "70000"}, "MODEL_SERVER_PORT is '70000'; it must be a whole number"),
        ({"MODEL_SERVER_ADDRESS": "http://x"}, "MODEL_SERVER_ADDRESS is 'http://x'; it must be a host name"),
        ({"ALLOWED_MODEL_SERVERS": "mnist-service"}, "write host:port, with commas between them"),
        ({"ALLOWED_MODEL_SERVERS": "canary:9000"}, "leaves out mnist-service:9000"),
    ],
)
def test_a_wrong_variable_is_named_with_what_would_be_right(variables: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.from_environ(variables)
