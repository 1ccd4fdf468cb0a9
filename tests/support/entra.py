# SPDX-License-Identifier: MIT
"""Microsoft Entra's token endpoints, v1 and v2, for applications: strict about the form, the secret, and an assertion's
signature, audience and life."""
import base64
import collections
import re
import time
import uuid

from cryptography.hazmat.primitives import hashes

from support import jwt
from support.issuer import FORM, STORAGE, Denied, Identity, Issuer, check_direct, one_header, parameters

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "api://AzureADTokenExchange"
LONGEST_S = 600  # an application's assertion lives no longer
FIELDS = {"client_id", "grant_type", "client_secret", "client_assertion", "client_assertion_type"}
THUMBPRINTS = {"RS256": ("x5t", hashes.SHA1()), "PS256": ("x5t#S256", hashes.SHA256())}

Federation = collections.namedtuple("Federation", "issuer subject audience key")


class Application:
    """What is registered for one: secrets with the time of their end, certificates, federations."""

    def __init__(self):
        self.identity = Identity(str(uuid.uuid4()), str(uuid.uuid4()), None)
        self.client_id = self.identity.client_id
        self.secrets, self.certificates, self.federations = {}, [], []

    def secret(self, text="s3cret~with+/=&% and a blank", days=1):
        self.secrets[text] = time.time() + days * 86400
        return text

    def certificate(self, key=None):
        """Registers a key's certificate; returns the key."""
        key = key or jwt.Key()
        self.certificates.append(key)
        return key


class Cluster:
    """A Kubernetes cluster's issuer, and one service account of it."""

    def __init__(self):
        self.issuer = f"https://westeurope.oic.prod-aks.azure.com/{uuid.uuid4()}/{uuid.uuid4()}/"
        self.subject, self.key = "system:serviceaccount:default:cvnotifyd", jwt.Key()

    def federation(self, **other):
        return Federation(self.issuer, self.subject, EXCHANGE, self.key)._replace(**other)

    def token(self, life_s=3600, key=None, **claims):
        """What the platform puts into the service account's file."""
        now = int(time.time())
        return jwt.encode({"iss": self.issuer, "sub": self.subject, "aud": [EXCHANGE], "iat": now, "nbf": now,
                           "exp": now + life_s, "jti": str(uuid.uuid4()), **claims}, key or self.key, kid=self.key.id)


class Entra(Issuer):
    """Sentences call it Microsoft Entra."""

    LABEL = "Microsoft Entra"
    PATH = re.compile(r"/([0-9A-Za-z.-]+)/oauth2(/v2\.0)?/token")

    def __init__(self, certificates=None, listen=None):
        self.applications = {}
        self._jtis = set()
        self.versions = []  # v1 or v2, of each request
        super().__init__(certificates, listen)
        self.url = self.origin

    def application(self):
        new = Application()
        self.applications[new.client_id] = new
        return new

    def trouble(self, status, error, number, text, why=None):
        """In Entra's form."""
        ids = {"trace_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4())}
        description = (f"AADSTS{number}: {text} Trace ID: {ids['trace_id']} Correlation ID: {ids['correlation_id']} "
                       f"Timestamp: {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(self.now()))}")
        return Denied(status, {"error": error, "error_description": description, "error_codes": [number],
                               "timestamp": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.now())), **ids,
                               "error_uri": f"{self.origin}/error?code={number}"}, why)

    def bad(self, why):
        return self.trouble(400, "invalid_request", 900144, "The request body is not what it must be.", why)

    def mistrusted(self, number, text, why=None):
        return self.trouble(401, "invalid_client", number, text, why)

    # --- what is refused ---

    def check(self, request):
        check_direct(request, self.bad)
        version, tenant = self._endpoint(request)
        if request.method != "POST":
            raise self.trouble(405, "invalid_request", 900561, "The endpoint only accepts POST requests.", "not a POST")
        if request.query:
            raise self.bad("a query where none belongs")
        if one_header(request, "Content-Type").partition(";")[0] != FORM:
            raise self.bad("not a form")
        if "Authorization" in request.headers:
            raise self.bad("an Authorization where none belongs")
        fields = parameters(request.body.decode("latin-1"), self.bad)
        self._check_fields(fields, version)
        if tenant != self.tenant:
            raise self.trouble(400, "invalid_request", 90002, f"Tenant '{tenant}' not found. Check to make sure you have "
                               "the correct tenant ID and are signing into the correct cloud.")
        if fields["client_id"] not in self.applications:
            raise self.trouble(400, "unauthorized_client", 700016, f"Application with identifier '{fields['client_id']}' was "
                               f"not found in the directory '{tenant}'.")

    def _endpoint(self, request):
        match = self.PATH.fullmatch(request.path)
        if not match:
            raise self.trouble(404, "invalid_request", 900971, "No such path.", f"the path {request.path}")
        return "v2" if match[2] else "v1", match[1]

    def _check_fields(self, fields, version):
        for name in ("client_id", "grant_type"):
            if not fields.get(name):
                raise self.bad(f"no {name}")
        if fields["grant_type"] != "client_credentials":
            raise self.trouble(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.",
                               f"the grant type {fields['grant_type']}")
        audience = "scope" if version == "v2" else "resource"
        if set(fields) - FIELDS - {audience}:
            raise self.bad(f"no field of {version} is called {sorted(set(fields) - FIELDS - {audience})}")
        if self._audience(fields) not in (STORAGE, STORAGE.rstrip("/")):
            raise self.trouble(400, "invalid_scope", 70011, "The provided value for the input parameter is not valid.",
                               f"{audience} is {fields.get(audience)}")
        if ("client_secret" in fields) == ("client_assertion" in fields):
            raise self.mistrusted(7000218, "The request body must contain the following parameter: 'client_assertion' or "
                                  "'client_secret'.", "not one proof of who it is")
        if fields.get("client_assertion_type", JWT_BEARER) != JWT_BEARER or (
                ("client_assertion" in fields) != ("client_assertion_type" in fields)):
            raise self.bad("client_assertion_type")

    @staticmethod
    def _audience(fields):
        """The resource that a scope means: https://storage.azure.com//.default is the one with a slash at its end."""
        if "scope" in fields:
            return fields["scope"].removesuffix("/.default") if fields["scope"].endswith("/.default") else None
        return fields.get("resource")

    def grant(self, request):
        version, _ = self._endpoint(request)
        fields = parameters(request.body.decode("latin-1"), self.bad)
        self.shown += [fields[name] for name in ("client_secret", "client_assertion") if name in fields]
        application = self.applications[fields["client_id"]]
        if "client_secret" in fields:
            self._check_secret(application, fields["client_secret"])
        else:
            self._check_assertion(application, fields["client_assertion"], self.origin + request.path)
        self.versions.append(version)
        audience = self._audience(fields)
        token = self.token(application.identity, audience)
        if version == "v2":
            return {"token_type": "Bearer", "expires_in": self.life_s, "ext_expires_in": self.life_s, "access_token": token}
        now = int(self.now())
        return {"token_type": "Bearer", "expires_in": str(self.life_s), "ext_expires_in": str(self.life_s),
                "expires_on": str(now + self.life_s), "not_before": str(now - 300), "resource": audience,
                "access_token": token}

    def _check_secret(self, application, secret):
        end = application.secrets.get(secret)
        if end is None:
            raise self.mistrusted(7000215, "Invalid client secret provided. Ensure the secret being sent in the request is "
                                  "the client secret value, not the client secret ID, for a secret added to app "
                                  f"'{application.client_id}'.")
        if end < self.now():
            raise self.mistrusted(7000222, "The provided client secret keys for app "
                                  f"'{application.client_id}' are expired. Create new keys for your app in Azure Portal.")

    # --- assertions ---

    def _check_assertion(self, application, text, url):
        try:
            header, claims = jwt.decode(text)
        except ValueError as error:
            raise self.mistrusted(50027, "JWT token is invalid or malformed.", f"the assertion: {error}") from error
        if claims.get("iss") == application.client_id:
            self._check_own(application, text, header, claims, url)
        else:
            self._check_federated(application, text, header, claims)

    def _check_times(self, claims):
        times = [claims.get(name) for name in ("nbf", "exp")]
        if not all(isinstance(at, int) for at in times):
            raise self.mistrusted(50027, "JWT token is invalid or malformed.", f"nbf and exp are {times}")
        if not times[0] - 1 <= self.now() < times[1]:
            raise self.mistrusted(700024, "Client assertion is not within its valid time range. Current time: "
                                  f"{_iso(self.now())}, assertion valid from {_iso(times[0])}, expiry time of assertion "
                                  f"{_iso(times[1])}.")

    def _check_own(self, application, text, header, claims, url):
        """Signed with the application's certificate."""
        malformed = lambda why: self.mistrusted(50027, "JWT token is invalid or malformed.", f"the assertion: {why}")
        if header.get("alg") not in THUMBPRINTS or header.get("typ") != "JWT":
            raise malformed(f"its header is {header}")
        if set(header) - {"alg", "typ", "kid", "x5t", "x5t#S256", "x5c"} or set(claims) - {
                "aud", "iss", "sub", "jti", "nbf", "iat", "exp"}:
            raise malformed(f"more than belongs there: {sorted(header)}, {sorted(claims)}")
        if claims.get("sub") != claims["iss"]:
            raise malformed(f"its sub is {claims.get('sub')}")
        if claims.get("aud") != url:
            raise self.mistrusted(700023, "Client assertion audience claim does not match Realm issuer.",
                                  f"the assertion's aud is {claims.get('aud')}")
        self._check_times(claims)
        if claims["exp"] - claims["nbf"] > LONGEST_S:
            raise malformed(f"it lives {claims['exp'] - claims['nbf']} s")
        self._check_signature(application, text, header)
        if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(claims.get("jti"))):
            raise malformed(f"its jti is {claims.get('jti')}")
        if claims["jti"] in self._jtis:
            raise malformed("its jti was seen before")
        self._jtis.add(claims["jti"])

    def _check_signature(self, application, text, header):
        name, _ = THUMBPRINTS[header["alg"]]
        if name not in header:
            raise self.mistrusted(700027, "no thumbprint", f"{header['alg']} without {name}")
        key = next((k for k in application.certificates if header[name] == k.thumbprint(THUMBPRINTS[header["alg"]][1])), None)
        if key is None:
            raise self.mistrusted(700027, "The certificate with identifier used to sign the client assertion is not "
                                  "registered on application. [Reason - The key was not found., Thumbprint of key used by "
                                  f"client: '{header[name]}']")
        for other, digest in THUMBPRINTS.values():
            if header.get(other, key.thumbprint(digest)) != key.thumbprint(digest):
                raise self.mistrusted(700027, "thumbprints", f"{other} is another certificate's")
        if not jwt.is_signed_by(text, key.public):
            raise self.mistrusted(700027, "[Reason - The key was found, but use of the key to verify the signature failed.]",
                                  "the assertion's signature")
        chain = header.get("x5c", [base64.b64encode(key.der).decode()])
        if not isinstance(chain, list) or base64.b64decode(chain[0], validate=True) != key.der:
            raise self.mistrusted(700027, "x5c", "x5c does not begin with the certificate")

    def _check_federated(self, application, text, header, claims):
        """Signed by somebody whom the application trusts."""
        known = application.federations
        audiences = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
        for number, member, shown in ((700211, "issuer", [claims.get("iss")]), (700213, "subject", [claims.get("sub")]),
                                      (700212, "audience", audiences)):
            known = [f for f in known if getattr(f, member) in shown]
            if not known:
                raise self.mistrusted(number, "No matching federated identity record found for presented assertion "
                                      f"{member} '{shown[0]}'. Check your federated identity credential Subject, Audience "
                                      "and Issuer against the presented assertion. "
                                      "https://learn.microsoft.com/entra/workload-id/workload-identity-federation")
        self._check_times(claims)
        if header.get("alg") != "RS256" or not jwt.is_signed_by(text, known[0].key.public):
            raise self.mistrusted(5000611, "The signature of the assertion could not be verified.", "the assertion's signature")


def _iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime(seconds))
