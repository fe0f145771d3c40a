"""Who may ask, what is understood, what is refused, and in which form it is answered."""

from __future__ import annotations

import pytest
from tests.unit.wire.kubernetes.server import CONFIG_MAPS, Server, config_map

from pilothouse.wire.kubernetes import negotiation
from pilothouse.wire.kubernetes.request import parse
from pilothouse.wire.kubernetes.statuses import NotAcceptable


@pytest.fixture(scope="module")
def server() -> Server:
    made = Server()
    made.call("POST", CONFIG_MAPS, config_map("there", {"k": "v"}))
    return made


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/api/v1/pods", ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces/n/pods/p/log", ("get", "", "pods", "n", "p", "log")),
        ("GET", "/api/v1/namespaces/n", ("get", "", "namespaces", "n", "n", "")),
        ("PUT", "/api/v1/namespaces/n/finalize", ("update", "", "namespaces", "n", "n", "finalize")),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments", ("deletecollection", "apps", "deployments", "n", "", "")),
        ("GET", "/apis/apps/v1/watch/namespaces/n/deployments/d", ("watch", "apps", "deployments", "n", "d", "")),
        ("GET", "/api/v1/pods?watch=true", ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=false", ("list", "", "pods", "", "", "")),
    ],
)
def test_paths_are_read(method: str, path: str, wanted: tuple[str, ...]) -> None:
    route, _, query = path.partition("?")
    target = parse(method, route, query, {}).target
    assert target is not None
    found = (target.verb, target.group, target.resource, target.namespace, target.name, target.subresource)
    assert found == wanted


def test_paths_without_a_resource_have_no_target() -> None:
    assert parse("GET", "/apis/apps/v1", "", {}).target is None
    assert parse("GET", "/healthz", "", {}).target is None


def test_the_manager_is_the_first_word_of_the_user_agent() -> None:
    assert parse("GET", "/", "", {"user-agent": "kubectl/v1.36 (linux)"}).manager() == "kubectl"
    assert parse("GET", "/", "fieldManager=me", {"user-agent": "kubectl/v1"}).manager() == "me"


@pytest.mark.parametrize(
    ("accept", "shape"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "PartialObjectMetadata"),
        ("application/vnd.kubernetes.protobuf,application/json", ""),
        ("text/html, */*;q=0.8", ""),
        ("application/json;as=Unknown;v=v1;g=meta.k8s.io,application/json", ""),
    ],
)
def test_forms_are_chosen(accept: str, shape: str) -> None:
    assert negotiation.choose(accept).shape == shape


@pytest.mark.parametrize("accept", ["text/html", "application/json;as=Unknown;v=v1;g=meta.k8s.io"])
def test_unspeakable_forms_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        negotiation.choose(accept)


def test_strangers_and_wrong_tokens(server: Server) -> None:
    assert server.call("GET", CONFIG_MAPS, user="").status == 403
    assert server.call("GET", CONFIG_MAPS, user="nobody-knows").status == 401
    assert server.call("GET", "/healthz", user="").status == 200


def test_a_user_without_rights_is_told_what_they_lack(server: Server) -> None:
    reply = server.call("GET", f"{CONFIG_MAPS}/there", user="ann")
    assert reply.status == 403
    assert reply.body["message"] == (
        'configmaps "there" is forbidden: User "ann" cannot get resource "configmaps" in API group "" in the namespace '
        '"default"'
    )


def test_a_token_never_comes_back(server: Server) -> None:
    reply = server.call("GET", CONFIG_MAPS, user="very-secret-token")
    assert b"very-secret-token" not in reply.data


def test_impersonation_needs_the_right_to_it(server: Server) -> None:
    acting = {"impersonate-user": "ann"}
    assert server.call("GET", CONFIG_MAPS, headers=acting).status == 403
    assert server.call("GET", CONFIG_MAPS, user="ann", headers={"impersonate-user": "root"}).status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothings", 404),
        ("GET", "/apis/no.group/v1/things", 404),
        ("GET", f"{CONFIG_MAPS}/absent", 404),
        ("PUT", CONFIG_MAPS, 405),
        ("POST", f"{CONFIG_MAPS}/x", 405),
        ("HEAD", CONFIG_MAPS, 405),
        ("DELETE", "/api/v1/namespaces/default/services/x/status", 405),
    ],
)
def test_what_is_not_served(server: Server, method: str, path: str, status: int) -> None:
    assert server.call(method, path, None if method in ("GET", "HEAD") else {}).status == status


@pytest.mark.parametrize(
    ("body", "content", "status", "words"),
    [
        (b"{", "application/json", 400, "unexpected end of JSON input"),
        (b"[]", "application/json", 400, "cannot unmarshal array"),
        (b"{}", "application/json", 422, "name or generateName is required"),
        (b'{"kind":"Nope","apiVersion":"v1"}', "application/json", 400, 'no kind "Nope"'),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unknown format"),
        (b"kind: [", "application/yaml", 400, "error converting YAML to JSON"),
        (b"nothing", "application/vnd.kubernetes.protobuf", 400, "protobuf"),
    ],
)
def test_bodies_that_cannot_be_used(server: Server, body: bytes, content: str, status: int, words: str) -> None:
    reply = server.call("POST", CONFIG_MAPS, body, headers={"content-type": content})
    assert reply.status == status
    assert words in reply.body["message"]


def test_a_body_beyond_the_limit(server: Server) -> None:
    reply = server.call("POST", CONFIG_MAPS, b" " * (3 * 1024 * 1024 + 1))
    assert (reply.status, reply.body["reason"]) == (413, "RequestEntityTooLarge")


def test_yaml_goes_in_and_comes_out(server: Server) -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: written}\ndata: {answer: 'yes'}\n"
    headers = {"content-type": "application/yaml", "accept": "application/yaml"}
    reply = server.call("POST", CONFIG_MAPS, text, headers=headers)
    assert reply.status == 201
    assert b"answer: 'yes'" in reply.data


def test_a_table_has_the_kind_s_columns(server: Server) -> None:
    accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = server.call("GET", f"{CONFIG_MAPS}/there", headers=accept).body
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["there", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    bare = server.call("GET", f"{CONFIG_MAPS}?includeObject=None", headers=accept).body
    assert bare["rows"][0]["object"] is None


def test_discovery_in_both_forms(server: Server) -> None:
    listed = server.call("GET", "/apis/apps/v1").body
    assert {"deployments", "deployments/scale"} <= {entry["name"] for entry in listed["resources"]}
    accept = {"accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"}
    found = server.call("GET", "/apis", headers=accept)
    assert found.body["kind"] == "APIGroupDiscoveryList"
    assert found.header("content-type") == ["application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"]


def test_openapi_documents_are_found_by_their_hash(server: Server) -> None:
    url = server.call("GET", "/openapi/v3").body["paths"]["apis/apps/v1"]["serverRelativeURL"]
    document = server.call("GET", url)
    assert "io.k8s.api.apps.v1.Deployment" in document.body["components"]["schemas"]
    wrong = server.call("GET", "/openapi/v3/apis/apps/v1?hash=0")
    assert (wrong.status, wrong.header("location")) == (301, [url])


def test_reviews_say_who_and_what(server: Server) -> None:
    own = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = server.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", own, user="ann").body
    assert who["status"]["userInfo"] == {"username": "ann", "uid": "1", "groups": ["system:authenticated"]}
    asked = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert server.call("POST", path, asked, user="ann").body["status"] == {"allowed": False}
    assert server.call("POST", path, asked).body["status"] == {"allowed": True}
