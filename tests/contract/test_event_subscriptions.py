"""The Event Subscriptions API against the published file: its examples in, its schemas out."""

from typing import Any

import pytest
from tests.contract import official
from tests.live_server import Answer, Client

SUBSCRIPTIONS = "sendcloud-v3-event-subscriptions-openapi.yml"
ROOT = "/api/v3"


def examples(published: dict[str, Any], path: str, method: str) -> list[Any]:
    body = published["paths"][path][method].get("requestBody")
    if body is None:
        return [None]
    return [one["value"] for one in body["content"]["application/json"]["examples"].values()]


def own(example: Any, ids: dict[str, int]) -> Any:
    """An example with the connection that is there: its own numbers are of no account here."""
    if isinstance(example, dict) and "connection_id" in example:
        return example | {"connection_id": ids["connection"]}
    return example


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return official.document(SUBSCRIPTIONS)


@pytest.fixture(scope="module")
def caller(server: Any) -> Client:
    return server.account("subscriptions")  # type: ignore[no-any-return]


def test_every_published_call_takes_its_examples_and_answers_as_published(
    caller: Client, published: dict[str, Any]
) -> None:
    def kept(example: Any, path: str, method: str, status: int, real: str) -> Answer:
        answer = caller.ask(method.upper(), ROOT + real, example)
        assert answer.status == status, (path, answer.body)
        if status == 204:
            assert answer.body == b""
            return answer
        found = official.response(published, path, method, status)
        assert official.mismatches(found, answer.document) == []
        return answer

    tried = set()
    ids: dict[str, int] = {}
    order = [
        ("/event-subscriptions/connections", "post", 201),
        ("/event-subscriptions/connections", "get", 200),
        ("/event-subscriptions/connections/{id}", "get", 200),
        ("/event-subscriptions/connections/{id}", "patch", 200),
        ("/event-subscriptions/subscriptions", "post", 201),
        ("/event-subscriptions/subscriptions", "get", 200),
        ("/event-subscriptions/subscriptions/{id}", "get", 200),
        ("/event-subscriptions/subscriptions/{id}", "patch", 200),
        ("/event-subscriptions/broadcast/test/{subscription_id}", "post", 200),
        ("/event-subscriptions/subscriptions/{id}", "delete", 204),
        ("/event-subscriptions/connections/{id}", "delete", 204),
    ]
    for path, method, status in order:
        kind = "subscription" if "subscription_id" in path or "/subscriptions/" in path else ""
        for example in examples(published, path, method):
            which = ids.get(kind or "connection", 0)
            real = path.replace("{id}", str(which)).replace("{subscription_id}", str(which))
            answer = kept(own(example, ids), path, method, status, real)
            if status == 201:
                made = "subscription" if path.endswith("subscriptions") else "connection"
                # A test goes to a host that does not answer: that of the klaviyo connection, last.
                ids[made] = answer.document["data"]["id"]
                if made == "connection" and example["type"] == "webhook":
                    ids["webhook"] = ids[made]
            if (path, method) == ("/event-subscriptions/connections", "get"):
                ids["klaviyo"], ids["connection"] = ids["connection"], ids["webhook"]
            if (path, method) == ("/event-subscriptions/subscriptions/{id}", "get"):
                ids["connection"] = ids["klaviyo"]
        tried.add((path, method))
    everything = {
        (path, method)
        for path, item in published["paths"].items()
        for method in item
        if method in ("get", "post", "patch", "delete")
    }
    # The one call that has to fail here: there is no Klaviyo to be authorized at.
    asking = "/event-subscriptions/connections/{id}/authorization"
    assert everything - tried == {(asking, "post")}
    listed = caller.get(f"{ROOT}/event-subscriptions/connections?connection_type=webhook")
    refused = caller.post(
        f"{ROOT}/event-subscriptions/connections/{listed.document['data'][0]['id']}/authorization",
        None,
    )
    errors = official.component(published, "errors")
    for answer in (
        refused,
        caller.post(f"{ROOT}/event-subscriptions/connections", {"type": "fax"}),
        caller.get(f"{ROOT}/event-subscriptions/connections/999999999"),
        Client(caller.port).get(f"{ROOT}/event-subscriptions/connections"),
    ):
        assert answer.status in (400, 401, 404)
        assert official.mismatches(errors, answer.document) == []
        assert all(
            official.mismatches(official.component(published, "ErrorObject"), one) == []
            for one in answer.document["errors"]
        )


def test_the_published_errors_come_word_for_word(caller: Client, published: dict[str, Any]) -> None:
    """Detail, pointer and code of both published examples."""
    paths = published["paths"]
    for path, method, given in (
        ("/event-subscriptions/connections", "post", {"configuration": {}}),
        ("/event-subscriptions/subscriptions", "post", {"event_type": "parcels.event.created"}),
        (
            "/event-subscriptions/connections/{id}",
            "patch",
            {"configuration": {"url": "not a url"}},
        ),
    ):
        content = paths[path][method]["responses"]["400"]["content"]["application/json"]
        (example,) = content["examples"]["ValidationError"]["value"]["errors"]
        real = path
        if "{id}" in path:
            url = {"type": "webhook", "configuration": {"url": "https://hook.example/"}}
            made = caller.post(f"{ROOT}/event-subscriptions/connections", url)
            real = path.replace("{id}", str(made.document["data"]["id"]))
        answer = caller.ask(method.upper(), ROOT + real, given)
        assert answer.document["errors"][0] == example
