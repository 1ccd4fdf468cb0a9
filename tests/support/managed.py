# SPDX-License-Identifier: MIT
"""The sources of managed identities, strict ones: IMDS, App Service (new and old), Azure ML, Cloud Shell, Azure Arc."""
import base64
import collections
import os
import secrets
import time
import uuid

from support.issuer import FORM, STORAGE, Denied, Issuer, check_direct, identity, oauth, one_header, parameters
from support.mounts import PrivateOpt

Spelling = collections.namedtuple("Spelling", "name member")  # a selector's, and the member of Identity that it means


class Source(Issuer):
    """What all have in common. system: whether the machine has an identity of its own; users: those assigned to it."""

    KEY = ""  # of settings: source
    METHOD, VERSIONS = "GET", ()
    SELECTORS = ()

    def __init__(self, system=True, users=(), listen=None):
        self.system = identity("system") if system else None
        self.users = [identity(name) for name in users]
        self.resources = {STORAGE, STORAGE.rstrip("/")}
        super().__init__(listen=listen)

    @property
    def endpoint(self):
        return self.origin + self.PATH

    def environment(self):
        """What the platform puts into the environment of what runs on it."""
        raise NotImplementedError

    def needed(self):
        """What of it is needed though the settings name the endpoint."""
        return {}

    def config(self, **settings):
        """An identity of the daemon's, which finds us by its settings or environment."""
        return {"name": "machine", "kind": "managed_identity", "source": self.KEY, **settings}

    # --- what is refused ---

    def denied(self, status, code, text, why=None):
        """In the words of this issuer."""
        return oauth(status, code, text, why)

    def bad(self, why):
        return self.denied(400, "invalid_request", why, why)

    def check(self, request):
        check_direct(request, self.bad)
        if request.path != self.PATH:
            raise self.denied(404, "not_found", "no such path", f"the path {request.path}")
        if request.method != self.METHOD:
            raise self.denied(405, "method_not_allowed", "method", f"the method {request.method}")
        self.check_caller(request)
        values = self.values(request)
        self.check_values(values)
        self.owner(values)

    def check_caller(self, request):
        """That it is one of ours who asks."""
        if one_header(request, "Metadata") != "true":
            raise self.denied(400, "bad_request_102", "Required metadata header not specified", "no Metadata: true")

    def values(self, request):
        if request.body:
            raise self.bad("a body where none belongs")
        return parameters(request.query, self.bad)

    def check_values(self, values):
        if self.VERSIONS and values.pop("api-version", None) not in self.VERSIONS:
            raise self.bad("api-version")
        if "resource" not in values:
            raise self.bad("Required query variable 'resource' is missing")
        if values["resource"] not in self.resources:
            raise self.denied(400, "invalid_resource", "AADSTS500011: The resource principal named "
                              f"{values['resource']} was not found in the tenant", f"resource={values['resource']}")
        known = {"resource", *(s.name for s in self.SELECTORS)}
        if set(values) - known:
            raise self.bad(f"no parameter is called {sorted(set(values) - known)}")
        if len(values) > 2:
            raise self.bad("more than one selector")

    # --- who it is ---

    def several(self):
        return self.denied(400, "invalid_request", "Multiple user assigned identities exist, please specify the clientId / "
                           "resourceId of the identity in the token request")

    def unknown(self):
        return self.denied(400, "invalid_request", "Identity not found")

    def owner(self, values):
        """The identity that is meant."""
        for selector in self.SELECTORS:
            if selector.name in values:
                wanted = values[selector.name].lower()
                for each in [*self.users, *([self.system] if self.system else [])]:
                    if getattr(each, selector.member).lower() == wanted:
                        return each
                raise self.unknown()
        if self.system:
            return self.system
        if len(self.users) > 1:
            raise self.several()
        if not self.users:
            raise self.unknown()
        return self.users[0]

    # --- what is given ---

    def grant(self, request):
        values = self.values(request)
        owner = self.owner(values)
        return self.members(owner, values, self.token(owner, values["resource"]))

    def members(self, owner, values, token):
        now = int(self.now())
        return {"access_token": token, "client_id": owner.client_id, "expires_in": str(self.life_s),
                "expires_on": str(now + self.life_s), "ext_expires_in": str(self.life_s), "not_before": str(now - 300),
                "resource": values["resource"], "token_type": "Bearer"}


class Imds(Source):
    """A virtual machine's metadata service."""

    LABEL, KEY, PATH = "IMDS", "imds", "/metadata/identity/oauth2/token"
    VERSIONS = ("2018-02-01", "2018-10-01", "2021-05-01")
    SELECTORS = (Spelling("client_id", "client_id"), Spelling("object_id", "object_id"),
                 Spelling("msi_res_id", "resource_id"))

    def environment(self):
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.origin}


class AppService(Source):
    """App Service, Functions, Container Apps: 2019-08-01."""

    LABEL, KEY, PATH = "App Service", "app_service", "/msi/token/"
    VERSIONS = ("2019-08-01",)
    SELECTORS = (Spelling("client_id", "client_id"), Spelling("principal_id", "object_id"),
                 Spelling("object_id", "object_id"), Spelling("mi_res_id", "resource_id"))
    HEADER = "X-IDENTITY-HEADER"

    def __init__(self, system=True, users=(), listen=None):
        self.secret = secrets.token_hex(16).upper()
        super().__init__(system, users, listen)
        self.shown.append(self.secret)

    def environment(self):
        return {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": self.secret}

    def denied(self, status, code, text, why=None):
        return Denied(status, {"statusCode": status, "message": text}, why)

    def several(self):
        return self.unknown()

    def unknown(self):
        return self.denied(400, "", "No Managed Identity found for specified ClientId/ResourceId/PrincipalId.")

    def check_caller(self, request):
        if "Metadata" in request.headers:
            raise self.bad("Metadata is for IMDS")
        shown = one_header(request, self.HEADER)
        if not shown:
            raise self.denied(401, "", "Unauthorized", f"not one {self.HEADER}")
        if shown != self.secret:
            raise self.denied(401, "", "Unauthorized")

    def owner(self, values):
        """Several of them are no trouble of its own: without a selector the machine's is meant."""
        if not self.system and not set(values) - {"resource"} and self.users:
            raise self.unknown()
        return super().owner(values)

    def members(self, owner, values, token):
        return {"access_token": token, "client_id": owner.client_id, "expires_on": self.until(),
                "resource": values["resource"], "token_type": "Bearer"}

    def until(self):
        return str(int(self.now()) + self.life_s)


# How App Service wrote the end of a token's life in 2017-09-01, by platform and year.
DATES = {
    "seconds": lambda at: str(int(at)),
    "Linux": lambda at: time.strftime("%m/%d/%Y %H:%M:%S +00:00", time.gmtime(at)),
    "Windows": lambda at: _unpadded(time.strftime("%m/%d/%Y %I:%M:%S %p +00:00", time.gmtime(at))),
    "ISO": lambda at: time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at)),
}


def _unpadded(text):
    """11/05/2019 03:14:31 PM as 11/5/2019 3:14:31 PM."""
    date, _, rest = text.partition(" ")
    return "/".join(part.lstrip("0") for part in date.split("/")) + " " + rest.lstrip("0")


class OldAppService(AppService):
    """2017-09-01."""

    VERSIONS, HEADER = ("2017-09-01",), "secret"
    SELECTORS = (Spelling("clientid", "client_id"),)

    def __init__(self, system=True, users=(), listen=None, date="Linux"):
        self.date = date
        super().__init__(system, users, listen)

    def environment(self):
        return {"MSI_ENDPOINT": self.endpoint, "MSI_SECRET": self.secret}

    def until(self):
        return DATES[self.date](int(self.now()) + self.life_s)


class AzureMl(OldAppService):
    """Azure ML's compute: as App Service once was, for one user-assigned identity as a rule, which the environment
    names."""

    LABEL, KEY, PATH = "Azure ML", "azure_ml", "/MSI/auth"

    def __init__(self, system=False, users=("compute",), listen=None):
        super().__init__(system, users, listen, date="seconds")

    def environment(self):
        default = {"DEFAULT_IDENTITY_CLIENT_ID": self.users[0].client_id} if len(self.users) == 1 else {}
        return {**super().environment(), **default}


class CloudShell(Source):
    """A shell of a person's own: a POST, and nothing to select."""

    LABEL, KEY, PATH, METHOD = "Cloud Shell", "cloud_shell", "/oauth2/token", "POST"

    def environment(self):
        return {"MSI_ENDPOINT": self.endpoint}

    def values(self, request):
        if request.query:
            raise self.bad("a query where none belongs")
        if one_header(request, "Content-Type").partition(";")[0] != FORM:
            raise self.denied(415, "invalid_request", "form", "not a form")
        return parameters(request.body.decode("latin-1"), self.bad)

    def members(self, owner, values, token):
        members = super().members(owner, values, token)
        del members["client_id"]
        return {**members, "refresh_token": ""}


class Arc(Source):
    """The agent of a server that is connected by Azure Arc. It writes a file that its own may read, and wants to see what
    is in it. The daemon has to run with `before`, where the file is; each is good for one request."""

    LABEL, KEY, PATH = "Azure Arc", "arc", "/metadata/identity/oauth2/token"
    VERSIONS = ("2020-06-01", "2019-11-01")
    SELECTORS = (Spelling("client_id", "client_id"), Spelling("object_id", "object_id"),
                 Spelling("msi_res_id", "resource_id"))
    TOKENS = "/var/opt/azcmagent/tokens"

    def __init__(self, system=True, users=(), listen=None, knows_users=True):
        super().__init__(system, users, listen)
        self.opt = PrivateOpt()
        self.before = self.opt.before
        self.opt.path(self.TOKENS).mkdir(parents=True)
        self._keys, self.challenges = {}, 0
        self.knows_users = knows_users  # an older agent does not heed selectors
        self.realm = f"{self.TOKENS}/{{}}.key"  # where it says that the file is
        self.size, self.mode, self.owner_ids = 60, 0o640, (0, 0)
        self.scheme = "Basic"
        self.after = lambda file: None  # called with each file as it was written

    def environment(self):
        return {"IDENTITY_ENDPOINT": self.endpoint, "IMDS_ENDPOINT": self.origin}

    def close(self):
        super().close()
        self.opt.close()

    def check(self, request):
        """A request without the key is good as far as it goes."""
        super().check(request)
        shown = one_header(request, "Authorization")
        if "Authorization" in request.headers and not shown.startswith("Basic "):
            raise self.bad("an Authorization that is not Basic")

    def grant(self, request):
        shown = one_header(request, "Authorization").removeprefix("Basic ")
        if not shown:
            raise self._challenge()
        if self._keys.pop(shown, None) is None:
            raise self.denied(401, "unauthorized_client", "Invalid Basic Authorization", "not what is in the file")
        return super().grant(request)

    def _challenge(self):
        self.challenges += 1
        path = self.realm.format(uuid.uuid4())
        key = base64.b64encode(secrets.token_bytes(3 * self.size))[:self.size].decode()
        self._keys[key] = path
        self.shown.append(key)
        file = self.opt.path(path)
        if file.parent.is_dir():
            file.write_text(key)
            os.chown(file, *self.owner_ids)
            file.chmod(self.mode)
            self.after(file)
        return Denied(401, {"error": "unauthorized_client", "error_description": "Missing Basic Authorization header",
                            "error_codes": [401]}, WWW_Authenticate=f"{self.scheme} realm={path}")

    def owner(self, values):
        if not self.knows_users:
            return self.system
        return super().owner(values)

    def members(self, owner, values, token):
        """An agent that heeds a selector says so."""
        members = super().members(owner, values, token)
        del members["client_id"]
        if self.knows_users:
            for selector in self.SELECTORS:
                if selector.name in values:
                    members[selector.name] = getattr(owner, selector.member)
        return members


SOURCES = (Imds, AppService, OldAppService, AzureMl, CloudShell, Arc)
