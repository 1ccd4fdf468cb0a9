# SPDX-License-Identifier: MIT
"""Every bad answer that the queue service can give, by its status and code: to the Gets and to what follows them."""
import signal
import time

import pytest

from support import faults, messages
from support.bad_day import gets_fail_and_recover, said, waits, what_follows_fails_and_recovers
from support.daemon import exec_hook
from support.faults import error, html, reply
from support.tap import Knocks
from support.process import free_ports
from support.wait import stays_true, wait_until

EXPIRED = "Signature not valid in the specified time frame: Start [Thu] - Expiry [Fri] - Current [Sat]"
ROLE = "Storage Queue Data Contributor"

# The answer, its cause, and what the one line about it has to say.
ROWS = {
    "401 with a challenge": (faults.challenge(), "auth", ["401 NoAuthenticationInformation", "got no credential"]),
    "401 for a stale token": (faults.challenge(code="InvalidAuthenticationInfo"), "auth", ["the SAS, key or token is not valid"]),
    "401 without a code": (error(401), "auth", ["Get Messages: 401", "did not take the credential"]),
    "403 expired": (error(403, "AuthenticationFailed", EXPIRED), "auth", ["403 AuthenticationFailed", "expired", EXPIRED]),
    "403 no right": (error(403, "AuthorizationPermissionMismatch"), "auth", ["SAS permission p", ROLE]),
    "403 no right on the account": (error(403, "InsufficientAccountPermissions"), "auth", ["SAS permission p", ROLE]),
    "403 firewall": (error(403, "AuthorizationFailure"), "auth", ["firewall"]),
    "403 https only": (error(403, "AuthorizationProtocolMismatch"), "auth", ["use https in url"]),
    "403 address": (error(403, "AuthorizationSourceIPMismatch"), "auth", ["sip"]),
    "403 service": (error(403, "AuthorizationServiceMismatch"), "auth", ["ss=q"]),
    "403 resource type": (error(403, "AuthorizationResourceTypeMismatch"), "auth", ["srt=co"]),
    "403 disabled": (error(403, "AccountIsDisabled"), "auth", ["see its subscription"]),
    "404 queue": (error(404, "QueueNotFound"), "missing", ["create the queue or mend url"]),
    "404 account": (error(404, "ResourceNotFound"), "missing", ["no such account", "mend url"]),
    "404 without a code": (error(404), "missing", ["mend url"]),
    "409 being deleted": (error(409, "QueueBeingDeleted"), "missing", ["create it again"]),
    "409 disabled": (error(409, "QueueDisabled"), "missing", ["administrator"]),
    "400 parameter": (error(400, "OutOfRangeQueryParameterValue", message="One of the query parameters is out of range."),
                      "missing", ["400 OutOfRangeQueryParameterValue", "One of the query parameters is out of range"]),
    "400 header": (error(400, "InvalidHeaderValue"), "missing", ["400 InvalidHeaderValue", "What went wrong"]),
    "400 name": (error(400, "InvalidResourceName"), "missing", ["mend url"]),
    "400 credential": (error(400, "InvalidAuthenticationInfo"), "auth", ["the SAS, key or token is not valid"]),
    "400 without a code": (error(400), "missing", ["400", "refuses the request"]),
    "code in the header alone": (error(404, "QueueNotFound", where="header"), "missing", ["404 QueueNotFound"]),
    "code in the body alone": (error(403, "AuthorizationFailure", where="body"), "auth", ["403 AuthorizationFailure"]),
    "413": (error(413, "RequestBodyTooLarge"), "missing", ["413 RequestBodyTooLarge"]),
    "418": (reply(418), "missing", ["418"]),
    "429": (error(429, "TooManyRequests"), "throttled", ["slow down"]),
    "500": (error(500, "InternalError"), "server", ["500 InternalError", "the service failed"]),
    "500 timed out": (error(500, "OperationTimedOut"), "server", ["took too long"]),
    "503": (error(503, "ServerBusy"), "throttled", ["slow down"]),
    "503 without a code": (error(503), "throttled", ["busy"]),
    "599": (reply(599), "server", ["599"]),
    "202": (reply(202), "server", ["202"]),
    "204": (reply(204), "server", ["204"]),
    "302": (reply(302, Location="/elsewhere"), "missing", ["302", "redirect", "url"]),
    "a portal's page": (html(200), "server", ["200", "http.proxy"]),
    "a proxy's 403": (html(403), "auth", ["403", "no sign of a Storage service", "http.proxy"]),
    "a proxy's 407": (html(407), "auth", ["407", "http.proxy"]),
    "a proxy's 502": (html(502), "server", ["502", "no sign of a Storage service"]),
}


@pytest.mark.parametrize("row", ROWS)
def test_gets_that_are_answered_badly(fake, scripts, daemon, row):
    answer, cause, needles = ROWS[row]
    gets_fail_and_recover(fake, scripts, daemon, answer, cause, needles)


# Where requests after a Get differ by more than the code, one of each kind.
FOLLOWING = ["401 with a challenge", "403 expired", "403 no right", "404 queue", "404 without a code", "409 disabled",
             "400 parameter", "418", "429", "500", "503", "202", "302", "a portal's page", "a proxy's 403", "a proxy's 502"]


@pytest.mark.parametrize("row", FOLLOWING)
def test_what_follows_a_get_is_answered_badly(fake, scripts, daemon, row):
    what_follows_fails_and_recovers(fake, scripts, daemon, ROWS[row][0])
