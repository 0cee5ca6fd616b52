"""api: the rows of /openapi.json, and how each is asked: whatever is added there is found here, and what cannot be asked fails."""
import contextlib
import json
import urllib.parse

from support.door import Connection, call
from support.tap import Failure, check

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

# what {id} stands for in paths that begin so
THINGS = {"/v1/allocations/": "allocation", "/v1/keys/": "key", "/v1/tenants/{tenant}/secrets/": "secret", "/v1/credentials/": "credential",
          "/v1/webhooks/": "webhook", "/v1/revocations/": "revocation"}

# good values of fields whose form their type does not tell
SAMPLES = {"name": "sample", "users": ["sample\tsample"], "scopes": ["mint"], "url": "http://127.0.0.1:1/sample", "token": "x" * 40, "path": "DIRECTORY/sample.db"}

# bodies of rows that read them by themselves, for a tenant
BODIES = {"/relay.v1.CredentialService/Mint": lambda tenant: {"tenant": tenant, "tag": "sample"}}


class Row:
    """One operation of the description."""

    def __init__(self, method, path, operation, directory):
        self.directory = directory
        self.method, self.path, self.operation = method.upper(), path, operation
        self.is_open = not operation["security"]
        self.scopes = {scope for each in operation["security"] for scope in each["key"]}
        self.is_operators = operation.get("x-operator-only", False)
        self.statuses = {int(status) for status in operation["responses"]}
        self.query = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
        self.names = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        self.schema = content["schema"] if content else None
        self.fields = (self.schema or {}).get("properties")
        well = next(operation["responses"][str(status)] for status in sorted(self.statuses))
        self.is_stream = "text/event-stream" in well["content"]

    def __str__(self):
        return f"{self.method} {self.path}"

    def at(self, things, **query):
        """Its path for the things of a tenant; `things` has them by name."""
        path = self.path
        for name in self.names:
            thing = next((thing for start, thing in THINGS.items() if self.path.startswith(start)), name) if name == "id" else name
            if thing not in things:
                raise Failure(f"{self}: there is nothing to stand for {{{name}}}: say in THINGS of support/api.py what it is, and seed one")
            path = path.replace("{%s}" % name, urllib.parse.quote(str(things[thing]), safe=""))
        needed = {name: sample(name, each["schema"]) for name, each in self.query.items() if each["required"]}
        asked = {**needed, **query}
        return path + ("?" + urllib.parse.urlencode(asked) if asked else "")

    def body(self, tenant="acme"):
        """A good one; None: it takes none."""
        if self.schema is None:
            return None
        if self.fields is None:
            if self.path not in BODIES:
                raise Failure(f"{self}: nobody knows a body for it: add one to BODIES of support/api.py")
            return BODIES[self.path](tenant)
        good = {name: sample(name, self.fields[name]) for name in self.schema.get("required", ())}
        return {name: value.replace("DIRECTORY", self.directory) if isinstance(value, str) else value for name, value in good.items()}


def kind_of(schema):
    kind = schema["type"]
    return kind if isinstance(kind, str) else kind[0]


def sample(name, schema):
    if name in SAMPLES:
        return SAMPLES[name]
    kind = kind_of(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "array":
        return [sample("", schema["items"])]
    return {"string": "s" * schema.get("minLength", 1), "integer": schema.get("minimum", 1), "boolean": True}[kind]


def wrong_text(schema):
    """A value of a parameter that is none; None: any text is one."""
    kind = kind_of(schema)
    if kind in ("integer", "boolean"):
        return "neither"
    if "enum" in schema or "enum" in schema.get("items", {}):
        return "nothing-of-it"
    most = schema.get("maxLength", 1 << 20)
    return "x" * (most + 1) if most < 4096 else None


def connect(server, limit_s=10.0):
    return contextlib.closing(Connection(server.path("door"), limit_s))


def rows_of(server):
    with connect(server) as door:
        status, document, _ = call(door, "GET", "/openapi.json")
    check(status == 200 and document["openapi"].startswith("3.1"), document)
    return [Row(method, path, operation, server.directory) for path, operations in document["paths"].items() for method, operation in operations.items()]


def ask(server, row, path, key=None, body=None, connection=None):
    """(status, body as text, headers); a status that the row does not declare fails. Of a stream only the head is read."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with connect(server) if connection is None else contextlib.closing(connection) as door:
        door.request(row.method, path, data, {**({"Authorization": f"Bearer {key}"} if key is not None else {}), **({"Content-Type": "application/json"} if data else {})})
        answer = door.getresponse()
        text = "" if row.is_stream and answer.status == 200 else answer.read().decode()
        check(answer.status in row.statuses, f"{row.method} {path} answers {answer.status}, which is not declared: {text[:300]}")
        return answer.status, text, answer.headers
