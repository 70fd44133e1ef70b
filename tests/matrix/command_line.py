"""A command line that is signed in to the simulator: `az` and `azd`, as far as they give access tokens.

`session.json` in the home folder is what a sign-in left behind: for each cloud the authority and a refresh token, the client id
they belong to, the home tenant, and the tenants of subscriptions. `argv` there is the command lines that were typed.
"""

import datetime
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

program, *arguments = sys.argv[1:]
home = os.environ["HOME"]


def option(name):
    return arguments[arguments.index(name) + 1] if name in arguments else None


def fail(text):
    if program == "azd":
        text = json.dumps({"type": "consoleMessage", "data": {"message": f"\nERROR: {text}\n"}})
    else:
        text = f"ERROR: {text}"
    sys.exit(text)


with open(f"{home}/argv", "a") as log:
    log.write(" ".join([program, *arguments]) + "\n")
with open(f"{home}/session.json") as file:
    session = json.load(file)
if program == "az":
    cloud = os.environ.get("AZURE_CLOUD_NAME", "none is set")
    tenant = option("--tenant") or session["subscriptions"][option("--subscription")]
else:
    with open(f"{home}/.azd/config.json") as file:
        cloud = json.load(file)["cloud"]["name"]
    tenant = option("--tenant-id") or session["tenant"]
account = session["clouds"][cloud]
form = {
    "grant_type": "refresh_token",
    "client_id": session["client"],
    "refresh_token": account["refresh_token"],
    "scope": option("--scope"),
}
url = f"https://{account['authority']}/{tenant}/oauth2/v2.0/token"
try:
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode()) as answer:
        granted = json.load(answer)
except urllib.error.HTTPError as error:
    try:
        fail(json.load(error)["error_description"])
    except (KeyError, ValueError):
        fail(f"{error.code} Too Many Requests, retry after {error.headers['Retry-After']} s")
expires = int(time.time()) + granted["expires_in"]
moment = datetime.datetime.fromtimestamp(expires, datetime.timezone.utc)
if program == "az":
    print(json.dumps({
        "accessToken": granted["access_token"],
        "expiresOn": moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "expires_on": expires,
        "tenant": tenant,
        "tokenType": "Bearer",
    }))
else:
    print(json.dumps({"token": granted["access_token"], "expiresOn": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}))
