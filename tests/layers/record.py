"""Writes down what a plugin is given: arguments, settings, catalog and environment."""

import json
import os
import sys

STREAMS = ("users", "orders", "logs")
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]


def read(flag):
    if flag not in words:
        return None
    with open(words[words.index(flag) + 1]) as file:
        return json.load(file)


def stream(id):
    columns = {"id": {"type": "integer"}, "name": {"type": "string"}}
    schema = {"type": "object", "properties": columns}
    return {"tap_stream_id": id, "stream": id, "schema": schema, "metadata": []}


if "--about" in words:
    sys.exit(3)
if "--discover" in words:
    print(json.dumps({"streams": [stream(id) for id in STREAMS]}))
    sys.exit()
given = {
    "flags": [word for word in words if word.startswith("--")],
    "config": read("--config"),
    "catalog": read("--catalog") or read("--properties"),
    "environment": dict(os.environ),
}
with open(os.path.join(os.environ["RECORDS"], name + ".json"), "w") as file:
    json.dump(given, file)
if name.startswith("target"):
    sys.stdin.read()
else:
    print(json.dumps({"type": "STATE", "value": {"bookmarks": {}}}))
