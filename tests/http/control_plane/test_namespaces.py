"""Namespaces: names in lower case, the order of checks, what can be changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dwserver.http.control_plane.namespaces import (
    STORAGE_CONFIG,
    index,
    show,
    store,
    update,
    update_external_storage,
)
from dwserver.services.records import Namespace
from tests.http.handler_stage import NOW, Stage

SETTINGS_WRONG = [
    ("description", 5),
    ("description", "d" * 1001),
    ("retention_days", 0),
    ("retention_days", 366),
    ("retention_days", "abc"),
    ("retention_days", True),
]


def a_namespace(**fields: Any) -> Namespace:
    namespace = Namespace(
        name="default",
        description="Default namespace",
        retention_days=30,
        status="active",
        external_storage=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(namespace, **fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", " "),
        ("name", 5),
        ("name", "bad name!"),
        ("name", "n" * 129),
        *SETTINGS_WRONG,
    ],
)
async def test_create_refuses_a_wrong_field(field: str, value: Any) -> None:
    stage = Stage()
    answer = await stage.ask(store, body={"name": "n", field: value})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == []


@pytest.mark.parametrize(("field", "value"), SETTINGS_WRONG)
async def test_update_refuses_a_wrong_field(field: str, value: Any) -> None:
    stage = Stage({"namespaces.find": a_namespace()})
    answer = await stage.ask(update, body={field: value}, params={"namespace": "n"})
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == ["namespaces.find"]


@pytest.mark.parametrize("handler", [show, update, update_external_storage])
async def test_an_unknown_namespace_is_not_found_whatever_is_sent(handler: Any) -> None:
    stage = Stage({"namespaces.find": None})
    body = {"retention_days": 0}
    answer = await stage.ask(handler, body=body, params={"namespace": "Nope"})
    assert stage.calls[0].arguments == ("nope",)
    assert (answer.status, answer.body["reason"]) == (404, "namespace_not_found")
    assert answer.body["namespace"] == "nope"
    assert "remediation" not in answer.body


async def test_names_are_created_in_lower_case_with_the_default_retention() -> None:
    stage = Stage({"namespaces.create": a_namespace(name="ns.a_1")})
    answer = await stage.ask(store, body={"name": " Ns.A_1 "})
    assert stage.calls[0].arguments == ("ns.a_1",)
    assert stage.calls[0].options == {"description": None, "retention_days": 30}
    assert answer.status == 201
    assert answer.body == {
        "name": "ns.a_1",
        "description": "Default namespace",
        "retention_days": 30,
        "status": "active",
        "external_payload_storage": None,
        "created_at": "2026-04-13T12:00:00+00:00",
    }


async def test_a_second_namespace_of_the_name_is_a_conflict() -> None:
    answer = await Stage({"namespaces.create": None}).ask(store, body={"name": "N"})
    assert (answer.status, answer.body["reason"]) == (409, "namespace_already_exists")
    assert answer.body["namespace"] == "n"


async def test_an_update_changes_only_what_is_given() -> None:
    stage = Stage(
        {"namespaces.find": a_namespace(), "namespaces.update": a_namespace()}
    )
    body = {"description": None, "retention_days": "12", "name": "other"}
    answer = await stage.ask(update, body=body, params={"namespace": "default"})
    assert stage.calls[1].arguments == ("default",)
    assert stage.calls[1].options == {"description": None, "retention_days": 12}
    assert answer.status == 200
    assert "created_at" not in answer.body
    assert "updated_at" in answer.body


async def test_the_list_shows_whole_resources() -> None:
    stage = Stage({"namespaces.find_all": [a_namespace(), a_namespace(name="b")]})
    answer = await stage.ask(index)
    assert [each["name"] for each in answer.body["namespaces"]] == ["default", "b"]
    assert {"created_at", "updated_at"} <= answer.body["namespaces"][0].keys()


STORAGE_WRONG = [
    ("driver", None),
    ("driver", "ftp"),
    ("driver", "S3"),
    ("driver", 5),
    ("enabled", "maybe"),
    ("enabled", 2),
    ("threshold_bytes", 0),
    ("threshold_bytes", "many"),
    ("threshold_bytes", 1.5),
    ("config", "text"),
    ("config", ["uri"]),
    *((f"config.{name}", 5) for name in STORAGE_CONFIG),
    *((f"config.{name}", "x" * (most + 1)) for name, most in STORAGE_CONFIG.items()),
    ("config.prefix", "p\0"),
]


@pytest.mark.parametrize(("field", "value"), STORAGE_WRONG)
async def test_a_policy_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    stage = Stage({"namespaces.find": a_namespace()})
    name, _, member = field.partition(".")
    body = {"driver": "s3", name: {member: value} if member else value}
    answer = await stage.ask(
        update_external_storage, body=body, params={"namespace": "n"}
    )
    assert (answer.status, list(answer.body["errors"])) == (422, [field])
    assert stage.called == ["namespaces.find"]


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        ({"driver": "gcs"}, {"driver": "gcs", "enabled": True}),
        (
            {"driver": "local", "enabled": "0", "threshold_bytes": "1024"},
            {"driver": "local", "enabled": False, "threshold_bytes": 1024},
        ),
        (
            {"driver": "azure", "config": {"uri": "", "bucket": None, "key": "secret"}},
            {"driver": "azure", "enabled": True},
        ),
        (
            {"driver": "s3", "config": {"bucket": " b ", "prefix": "p/", "x": 1}},
            {
                "driver": "s3",
                "enabled": True,
                "config": {"bucket": "b", "prefix": "p/"},
            },
        ),
    ],
)
async def test_a_policy_is_replaced_as_a_whole_and_shown(
    body: dict[str, Any], policy: dict[str, Any]
) -> None:
    stage = Stage(
        {
            "namespaces.find": a_namespace(external_storage={"driver": "local"}),
            "namespaces.set_storage": lambda name, policy: a_namespace(
                name=name, external_storage=policy
            ),
        }
    )
    answer = await stage.ask(
        update_external_storage, body=body, params={"namespace": "Default"}
    )
    assert answer.status == 200
    assert answer.body["external_payload_storage"] == policy
    assert {"created_at", "updated_at"} <= answer.body.keys()
