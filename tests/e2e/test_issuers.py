# SPDX-License-Identifier: MIT
"""The fake issuers of tokens themselves: each answers a good request, and refuses each bad one."""
import http.client
import json
import socket
import ssl
import time
import urllib.parse
import uuid

import pytest

from support import faults, jwt
from support.azurite import ACCOUNT
from support.entra import EXCHANGE, JWT_BEARER, THUMBPRINTS, Cluster, Entra
from support.issuer import FORM, STORAGE, refusal
from support.managed import DATES, Arc, AppService, AzureMl, CloudShell, Imds, OldAppService

ENCODED = urllib.parse.quote(STORAGE, safe="")
TOKEN = "/metadata/identity/oauth2/token"


def ask(issuer, method, target, headers=None, body=None, certificates=None):
    """(status, document, headers) of the answer."""
    if certificates:
        context = ssl.create_default_context(cafile=certificates.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", issuer.port, context=context, timeout=10)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", issuer.port, timeout=10)
    connection.request(method, target, body, headers or {})
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text), reply.headers


def said(document):
    """The words of a refusal, in whichever form."""
    return document.get("error_description") or document.get("message")


# For each source: the good request, and what is to be changed to make it a bad one.
GOOD = {
    Imds: ("GET", f"{TOKEN}?api-version=2018-02-01&resource={ENCODED}", {"Metadata": "true"}, None),
    AppService: ("GET", f"/msi/token/?api-version=2019-08-01&resource={ENCODED}", {"X-IDENTITY-HEADER": "SECRET"}, None),
    OldAppService: ("GET", f"/msi/token/?api-version=2017-09-01&resource={ENCODED}", {"secret": "SECRET"}, None),
    AzureMl: ("GET", f"/MSI/auth?api-version=2017-09-01&resource={ENCODED}&clientid=CLIENT", {"secret": "SECRET"}, None),
    CloudShell: ("POST", "/oauth2/token", {"Metadata": "true", "Content-Type": FORM}, f"resource={ENCODED}"),
    Arc: ("GET", f"{TOKEN}?api-version=2020-06-01&resource={ENCODED}", {"Metadata": "true"}, None),
}


def good_request(issuer):
    """The good request, with what this issuer made up."""
    made_up = {"SECRET": getattr(issuer, "secret", ""), "CLIENT": issuer.users[0].client_id if issuer.users else ""}

    def fill(text):
        for name, value in made_up.items():
            text = text.replace(name, value)
        return text
    method, target, headers, body = GOOD[type(issuer)]
    return [method, fill(target), {name: fill(value) for name, value in headers.items()}, body]


@pytest.fixture
def made():
    """Makes issuers, and closes them."""
    issuers = []

    def make(kind, *args, **how):
        issuers.append(kind(*args, **how))
        return issuers[-1]
    yield make
    for issuer in issuers:
        issuer.close()


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_a_good_request_gets_a_token(kind, made):
    issuer = made(kind)
    request = good_request(issuer)
    status, document, headers = ask(issuer, *request)
    if kind is Arc:
        # the first time it wants to see what is in a file
        assert status == 401
        scheme, _, realm = headers["WWW-Authenticate"].partition(" realm=")
        assert scheme == "Basic" and realm.startswith(Arc.TOKENS) and realm.endswith(".key")
        request[2]["Authorization"] = "Basic " + issuer.opt.path(realm).read_text()
        status, document, _ = ask(issuer, *request)
        assert ask(issuer, *request)[0] == 401  # which is good once
        assert issuer.violations.pop()
    assert status == 200 and not issuer.violations
    # the token is such as the storage service takes
    header, claims = jwt.decode(document["access_token"])
    assert header["alg"] == "RS256" and claims["aud"] == STORAGE
    assert claims["nbf"] <= time.time() < claims["exp"] == claims["iat"] + issuer.life_s
    assert document["access_token"] in issuer.secrets()
    assert document["token_type"] == "Bearer" and isinstance(document["expires_on"], str)
    # and what was sent is on record, to the last byte
    assert issuer.requests[0].bytes.endswith((request[3] or "\r\n\r\n").encode())
    assert request[0].encode() + b" " + request[1].encode() + b" HTTP/1.1\r\n" in issuer.requests[0].bytes


def without(name):
    return lambda request: request[2].pop(name)


def header(name, value):
    return lambda request: request[2].update({name: value})


def target(old, new):
    def change(request):
        assert old in request[1], request[1]
        request[1] = request[1].replace(old, new)
    return change


def method(name):
    return lambda request: request.__setitem__(0, name)


ANY = {"method": method("PUT"), "path": target("/", "//"), "Forwarded": header("Forwarded", "for=10.0.0.1"),
       "X-Forwarded-For": header("X-Forwarded-For", "10.0.0.1"), "Via": header("Via", "1.1 proxy"),
       "Proxy-Connection": header("Proxy-Connection", "keep-alive")}
QUERY = {"no resource": target(f"resource={ENCODED}", "x=y"), "resource": target(ENCODED, ENCODED + "x"),
         "encoding": target(ENCODED, STORAGE), "twice": target(f"resource={ENCODED}", f"resource={ENCODED}&" * 2 + "x=y"),
         "more": target("?", "?bypass_cache=true&"), "no api-version": target("api-version=20", "version=20"),
         "api-version": target("api-version=20", "api-version=19")}
METADATA = {"no Metadata": without("Metadata"), "Metadata": header("Metadata", "True")}
SECRET = {"an unneeded Metadata": header("Metadata", "true")}
BAD = {
    Imds: {**ANY, **QUERY, **METADATA, "two selectors": target("?", "?client_id=a&object_id=b&"),
           "selector of others": target("?", "?mi_res_id=a&"), "other selector": target("?", "?clientid=a&")},
    AppService: {**ANY, **QUERY, **SECRET, "no secret": without("X-IDENTITY-HEADER"),
                 "two selectors": target("?", "?client_id=a&principal_id=b&"), "selector": target("?", "?msi_res_id=a&")},
    OldAppService: {**ANY, **QUERY, **SECRET, "no secret": without("secret"), "selector": target("?", "?client_id=a&")},
    AzureMl: {**ANY, **QUERY, **SECRET, "no secret": without("secret"), "selector": target("clientid", "client_id")},
    CloudShell: {**ANY, **METADATA, "GET": method("GET"), "query": target("token", "token?api-version=2018-02-01"),
                 "form": header("Content-Type", "application/json"),
                 "selector": lambda request: request.__setitem__(3, request[3] + "&client_id=a"),
                 "resource": lambda request: request.__setitem__(3, "resource=https%3A%2F%2Fvault.azure.net")},
    Arc: {**ANY, **QUERY, **METADATA, "two selectors": target("?", "?client_id=a&object_id=b&"),
          "selector of others": target("?", "?mi_res_id=a&"), "scheme": header("Authorization", "Bearer x"),
          "a key that is none": header("Authorization", "Basic x")},
}


@pytest.mark.parametrize("kind, bad", [(kind, bad) for kind, all_bad in BAD.items() for bad in all_bad],
                         ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_a_bad_request_is_refused(kind, bad, made):
    issuer = made(kind)
    request = good_request(issuer)
    BAD[kind][bad](request)
    status, document, _ = ask(issuer, *request)
    assert 400 <= status < 500 and said(document)
    assert len(issuer.violations) == 1 and not issuer.tokens


def test_a_request_as_to_a_proxy_is_refused(made):
    issuer = made(Imds)
    request = good_request(issuer)
    request[1] = f"http://127.0.0.1:{issuer.port}{request[1]}"
    assert ask(issuer, *request)[0] == 400 and "proxy" in issuer.violations[0]


# --- which identity ---

def owner_of(issuer, selector="", value=""):
    """Whose token one gets with that selector; or the words of the refusal."""
    request = good_request(issuer)
    if selector:
        request[1] = request[1].replace("?", f"?{selector}={urllib.parse.quote(value, safe='')}&")
    elif isinstance(issuer, AzureMl):
        request[1] = request[1].partition("&clientid")[0]
    status, document, headers = ask(issuer, *request)
    if "WWW-Authenticate" in headers:
        key = issuer.opt.path(headers["WWW-Authenticate"].partition("realm=")[2]).read_text()
        request[2]["Authorization"] = f"Basic {key}"
        status, document, _ = ask(issuer, *request)
    return issuer.tokens[-1].owner if status == 200 else said(document)


SELECTORS = [(Imds, "client_id", "object_id", "msi_res_id"), (AppService, "client_id", "principal_id", "mi_res_id"),
             (AppService, "client_id", "object_id", "mi_res_id"), (OldAppService, "clientid"),
             (Arc, "client_id", "object_id", "msi_res_id")]


@pytest.mark.parametrize("kind, names", [(kind, names) for kind, *names in SELECTORS])
def test_an_identity_is_selected_in_each_ones_own_words(kind, names, made):
    issuer = made(kind, users=("one", "two"))
    assert owner_of(issuer) == issuer.system
    for each in issuer.users:
        for name, value in zip(names, each):
            assert owner_of(issuer, name, value) == each
    assert "dentity" in owner_of(issuer, names[0], str(uuid.uuid4()))
    assert not issuer.violations and issuer.refusals


def test_without_an_identity_of_its_own_one_of_several_must_be_named(made):
    issuer = made(Imds, system=False, users=("one", "two"))
    assert "Multiple user assigned identities exist" in owner_of(issuer)
    assert owner_of(made(Imds, system=False, users=("one",))).resource_id.endswith("one")
    assert "Identity not found" in owner_of(made(Imds, system=False))
    assert "No Managed Identity found" in owner_of(made(AppService, system=False, users=("one",)))
    machine = made(AzureMl)
    assert owner_of(machine, "x") is not None and "No Managed Identity found" in owner_of(machine)


def test_an_old_agent_heeds_no_selector_and_does_not_say_which_it_took(made):
    issuer = made(Arc, users=("one",), knows_users=False)
    assert owner_of(issuer, "client_id", issuer.users[0].client_id) == issuer.system


def test_a_wrong_secret_is_refused(made):
    for kind, name in ((AppService, "X-IDENTITY-HEADER"), (OldAppService, "secret"), (AzureMl, "secret")):
        issuer = made(kind)
        request = good_request(issuer)
        request[2][name] = "wrong"
        assert ask(issuer, *request)[0] == 401 and not issuer.violations


def test_dates_are_written_as_they_were():
    at = 1572966871
    assert {name: write(at) for name, write in DATES.items()} == {
        "seconds": "1572966871", "Linux": "11/05/2019 15:14:31 +00:00", "Windows": "11/5/2019 3:14:31 PM +00:00",
        "ISO": "2019-11-05T15:14:31+00:00"}


def test_what_arc_writes_is_nobody_elses(made):
    issuer = made(Arc)
    owner_of(issuer)
    assert issuer.challenges == 1 and list(issuer.opt.path(Arc.TOKENS).iterdir())
    with pytest.raises(OSError):
        open(Arc.TOKENS, encoding="ascii").close()


def test_faults_are_played(made):
    issuer = made(Imds)
    fault = issuer.fails(refusal(429, "too_many_requests", Retry_After="7"), times=1)
    status, document, headers = ask(issuer, *good_request(issuer))
    assert (status, document["error"], headers["Retry-After"]) == (429, "too_many_requests", "7") and fault.count == 1
    assert ask(issuer, *good_request(issuer))[0] == 200
    issuer.fails(faults.hang_up, times=1)
    with pytest.raises(OSError):
        ask(issuer, *good_request(issuer))
    issuer.fails(faults.html(200), times=1)
    with pytest.raises(ValueError):
        ask(issuer, *good_request(issuer))
    assert not issuer.violations and len(issuer.requests) == 4


# --- Microsoft Entra ---

@pytest.fixture
def entra(made, certificates):
    return made(Entra, certificates)


def post(entra, certificates, fields, version="v2", tenant=None, **how):
    """(status, document) for these fields; those that are None are left out."""
    where = f"/{tenant or entra.tenant}/oauth2/{'v2.0/' if version == 'v2' else ''}token"
    audience = {"scope": STORAGE + ".default"} if version == "v2" else {"resource": STORAGE}
    fields = {"grant_type": "client_credentials", **audience, **fields}
    body = urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None},
                                  quote_via=urllib.parse.quote, safe="")
    headers = {"Content-Type": FORM, **how.get("headers", {})}
    return ask(entra, how.get("method", "POST"), how.get("target", where), headers, body, certificates)[:2]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_secret_gets_a_token(entra, certificates, version):
    application = entra.application()
    fields = {"client_id": application.client_id, "client_secret": application.secret()}
    status, document = post(entra, certificates, fields, version)
    assert status == 200 and not entra.violations and entra.versions == [version]
    claims = jwt.decode(document["access_token"])[1]
    assert claims["aud"].rstrip("/") == "https://storage.azure.com" and claims["appid"] == application.client_id
    # numbers are texts in v1, numbers in v2
    assert document["expires_in"] == ("3600" if version == "v1" else 3600)
    assert ("expires_on" in document) == (version == "v1")


def code(document):
    return document["error_codes"][0] if f"AADSTS{document['error_codes'][0]}:" in document["error_description"] else None


def test_what_is_wrong_with_a_secret_has_its_code(entra, certificates):
    application = entra.application()
    old = application.secret("old", days=-1)
    fields = {"client_id": application.client_id, "client_secret": application.secret()}
    wrong = [({"client_secret": "wrong"}, {}, 401, "invalid_client", 7000215),
             ({"client_secret": old}, {}, 401, "invalid_client", 7000222),
             ({"client_id": str(uuid.uuid4())}, {}, 400, "unauthorized_client", 700016),
             ({}, {"tenant": str(uuid.uuid4())}, 400, "invalid_request", 90002)]
    for change, how, status, error, number in wrong:
        got, document = post(entra, certificates, {**fields, **change}, **how)
        assert (got, document["error"], code(document)) == (status, error, number)
    assert not entra.violations and not entra.tokens and len(entra.refusals) == len(wrong)


NOT_A_FORM = {
    "no grant_type": ({"grant_type": None}, {}), "grant_type": ({"grant_type": "password"}, {}),
    "no client_id": ({"client_id": None}, {}), "unknown": ({"tenant": "x"}, {}), "no proof": ({"client_secret": None}, {}),
    "resource in v2": ({"resource": STORAGE}, {}), "scope in v1": ({"scope": STORAGE + ".default"}, {"version": "v1"}),
    "scope": ({"scope": STORAGE}, {}), "resource": ({"resource": "https://vault.azure.net"}, {"version": "v1"}),
    "type without assertion": ({"client_assertion_type": JWT_BEARER}, {}),
    "two proofs": ({"client_assertion_type": JWT_BEARER, "client_assertion": "x"}, {}),
    "type": ({}, {"headers": {"Content-Type": "application/json"}}), "method": ({}, {"method": "PUT"}),
    "path": ({}, {"target": "/oauth2/token"}), "Via": ({}, {"headers": {"Via": "1.1 proxy"}}),
    "Authorization": ({}, {"headers": {"Authorization": "Bearer x"}}),
}


@pytest.mark.parametrize("bad", NOT_A_FORM)
def test_a_bad_form_is_refused(entra, certificates, bad):
    application = entra.application()
    fields, how = NOT_A_FORM[bad]
    fields = {"client_id": application.client_id, "client_secret": application.secret(), **fields}
    status, document = post(entra, certificates, fields, **how)
    assert 400 <= status < 500 and code(document)
    assert len(entra.violations) == 1 and not entra.tokens


def assertion(entra, application, key, algorithm="RS256", header=None, **claims):
    """An application's own; claims and members of its header that are None are left out."""
    now = int(time.time())
    name, digest = THUMBPRINTS[algorithm]
    head = {name: key.thumbprint(digest), **(header or {})}
    body = {"aud": f"{entra.origin}/{entra.tenant}/oauth2/v2.0/token", "iss": application.client_id,
            "sub": application.client_id, "jti": str(uuid.uuid4()), "nbf": now, "exp": now + 600, **claims}
    return {"client_id": application.client_id, "client_assertion_type": JWT_BEARER,
            "client_assertion": jwt.encode({n: v for n, v in body.items() if v is not None}, key, algorithm,
                                           **{n: v for n, v in head.items() if v is not None})}


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_an_assertion_gets_a_token_once(entra, certificates, algorithm):
    application = entra.application()
    key = application.certificate()
    fields = assertion(entra, application, key, algorithm)
    assert post(entra, certificates, fields)[0] == 200 and not entra.violations
    assert post(entra, certificates, fields)[0] == 401 and "seen before" in entra.violations[0]
    assert fields["client_assertion"] in entra.secrets()


def test_an_assertion_of_a_stranger_is_refused(entra, certificates):
    application = entra.application()
    key, stranger = application.certificate(), jwt.Key()
    status, document = post(entra, certificates, assertion(entra, application, stranger))
    assert (status, code(document)) == (401, 700027) and not entra.violations
    # who names the right certificate and has not its key is worse
    fields = assertion(entra, application, stranger, header={"x5t": key.thumbprint(THUMBPRINTS["RS256"][1])})
    assert code(post(entra, certificates, fields)[1]) == 700027 and "signature" in entra.violations[0]


NOT_AN_ASSERTION = {
    "aud": ({"aud": "https://login.microsoftonline.com/common/oauth2/v2.0/token"}, {}), "sub": ({"sub": "x"}, {}),
    "no jti": ({"jti": None}, {}), "no exp": ({"exp": None}, {}), "text": ({"nbf": "1"}, {}),
    "long": ({"exp": int(time.time()) + 7200}, {}), "more": ({"scope": "x"}, {}), "no x5t": ({}, {"x5t": None}),
    "no typ": ({}, {"typ": "at"}), "x5c": ({}, {"x5c": ["AAAA"]}), "other thumbprint": ({}, {"x5t#S256": "x"}),
}


@pytest.mark.parametrize("bad", NOT_AN_ASSERTION)
def test_a_bad_assertion_is_refused(entra, certificates, bad):
    application = entra.application()
    claims, head = NOT_AN_ASSERTION[bad]
    fields = assertion(entra, application, application.certificate(), header=head, **claims)
    status, document = post(entra, certificates, fields)
    assert status == 401 and code(document) and len(entra.violations) == 1 and not entra.tokens


def test_an_assertion_has_its_time(entra, certificates):
    application = entra.application()
    key, now = application.certificate(), int(time.time())
    for times in ({"nbf": now - 700, "exp": now - 100}, {"nbf": now + 100, "exp": now + 700}):
        status, document = post(entra, certificates, assertion(entra, application, key, **times))
        assert (status, code(document)) == (401, 700024) and not entra.violations


def federated(application, token):
    return {"client_id": application.client_id, "client_assertion_type": JWT_BEARER, "client_assertion": token}


def test_a_workloads_token_gets_one_again_and_again(entra, certificates):
    application, cluster = entra.application(), Cluster()
    application.federations.append(cluster.federation())
    token = cluster.token()
    for _ in range(2):
        assert post(entra, certificates, federated(application, token))[0] == 200
    assert not entra.violations


def test_what_is_wrong_with_a_workloads_token_has_its_code(entra, certificates):
    application, cluster = entra.application(), Cluster()
    application.federations.append(cluster.federation())
    for number, token in ((700211, cluster.token(iss="https://other.example.com")), (700213, cluster.token(sub="other")),
                          (700212, cluster.token(aud="other")), (700024, cluster.token(life_s=-10))):
        status, document = post(entra, certificates, federated(application, token))
        assert (status, document["error"], code(document)) == (401, "invalid_client", number)
    assert not entra.violations
    assert post(entra, certificates, federated(application, cluster.token(key=jwt.Key())))[0] == 401
    assert "signature" in entra.violations[0] and cluster.federation().audience == EXCHANGE


# --- the storage services that take the tokens ---

def test_azurite_takes_these_tokens(oauth_azurite, certificates, made):
    issuer, other = made(Imds), made(Imds)
    other.resources = {"https://vault.azure.net"}
    url = f"/{ACCOUNT}?comp=list"
    context = ssl.create_default_context(cafile=certificates.ca)

    def status(token):
        connection = http.client.HTTPSConnection("127.0.0.1", oauth_azurite.queue_port, context=context, timeout=10)
        connection.request("GET", url, headers={"Authorization": f"Bearer {token}", "x-ms-version": "2021-12-02"})
        answer = connection.getresponse().status
        connection.close()
        return answer
    assert status(issuer.token(issuer.system, STORAGE)) == 200
    issuer.life_s = -10
    assert status(issuer.token(issuer.system, STORAGE)) == 403
    assert status(other.token(other.system, "https://vault.azure.net")) == 403


def test_the_strict_queue_takes_the_tokens_that_it_trusts(safe_fake, certificates, made):
    issuer, queue = made(Imds), safe_fake.queue("events")
    safe_fake.trust(issuer)
    context = ssl.create_default_context(cafile=certificates.ca)

    def get(token, version="2021-12-02"):
        connection = http.client.HTTPSConnection("127.0.0.1", safe_fake.port, context=context, timeout=10)
        shown = {"Authorization": token} if token else {}
        connection.request("GET", urllib.parse.urlsplit(queue.url).path + "/messages",
                           headers={"x-ms-version": version, **shown})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.headers
    token = issuer.token(issuer.system, STORAGE)
    assert get(f"Bearer {token}")[0] == 200
    status, headers = get(f"Bearer {jwt.encode({'exp': 9999999999, 'tid': issuer.tenant})}")
    assert status == 401 and "resource_id=https://storage.azure.com" in headers["WWW-Authenticate"]
    safe_fake.rights.remove("Get")
    assert get(f"Bearer {token}")[0] == 403 and not safe_fake.violations
    safe_fake.tokens.clear()
    assert get(f"Bearer {token}")[0] == 401 and not safe_fake.violations
    assert get("")[0] == 401 and get(f"Bearer {token}", "2017-11-09")[0] == 400 and get("Bearer")[0] == 400
    assert len(safe_fake.violations) == 3
    safe_fake.violations.clear()


def test_a_connection_that_is_silent_is_noticed(made):
    issuer = made(Imds)
    issuer.fails(faults.silence)
    with socket.create_connection(("127.0.0.1", issuer.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
