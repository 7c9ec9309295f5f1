"""External payload storage from the environment."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dwserver.config.errors import ConfigurationError
from dwserver.config.settings import load_settings
from dwserver.roles.errors import BootError
from dwserver.roles.storage import storage_access

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret-of-the-test"}


def settings(**values: Any) -> Any:
    return load_settings(
        {f"DW_EXTERNAL_STORAGE_{name.upper()}": value for name, value in values.items()}
    )


def test_nothing_is_allowed_but_files_below_one_directory() -> None:
    access = storage_access(settings())
    assert str(access.local_root) == "external-payloads"
    assert (access.endpoints, access.credentials) == (frozenset(), {})
    assert access.timeout_seconds == 10


def test_profiles_and_endpoints_are_read() -> None:
    both = orjson.dumps({"a": KEYS, "b": {**KEYS, "session_token": "t"}}).decode()
    access = storage_access(
        settings(credentials=both, endpoints="https://a/, http://b:9000")
    )
    assert access.endpoints == {"https://a", "http://b:9000"}
    assert access.credentials["a"].secret_access_key == "secret-of-the-test"
    assert access.credentials["a"].session_token is None
    assert access.credentials["b"].session_token == "t"


@pytest.mark.parametrize(
    "keys",
    [
        "text",
        {},
        {"access_key_id": "a"},
        {**KEYS, "secret_access_key": 5},
        {**KEYS, "session_token": 5},
        {**KEYS, "secret": "secret-of-the-test"},
    ],
)
def test_credentials_of_another_shape_stop_the_boot_unseen(keys: Any) -> None:
    text = orjson.dumps({"mine": keys}).decode()
    with pytest.raises(BootError, match="mine") as raised:
        storage_access(settings(credentials=text))
    assert "secret-of-the-test" not in str(raised.value)


def test_credentials_that_are_no_object_are_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="access_key_id") as raised:
        settings(credentials='["secret-of-the-test"]')
    assert "secret-of-the-test" not in str(raised.value)


def test_settings_do_not_print_credentials() -> None:
    text = orjson.dumps({"mine": KEYS}).decode()
    assert "secret-of-the-test" not in repr(settings(credentials=text))
