"""A stand-in of the Hub's HTTP API: data sets, commits, large files by LFS, reading by ranges."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TOKEN = "hf_right"
LFS_BYTES = 4096  # larger files go by LFS, as the Hub asks


@dataclass
class Hub:
    """`files`: repository -> path -> bytes. `full`: it has no space left. `asked`: paths of requests."""

    address: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    full: bool = False
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def hub() -> Iterator[Hub]:
    """A Hub that runs in a thread."""
    from werkzeug.serving import make_server

    state = Hub()
    server = make_server("127.0.0.1", 0, application(state), threaded=True)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()


def application(state: Hub) -> Any:
    from flask import Flask, Response, jsonify, request

    app = Flask("hub")

    def refused(status: int, message: str) -> Response:
        response = Response(json.dumps({"error": message}), status, mimetype="application/json")
        response.headers["X-Error-Message"] = message
        return response

    @app.before_request
    def check() -> Response | None:
        state.asked.append(request.path)
        given = request.headers.get("Authorization", "")
        if given and given != f"Bearer {TOKEN}":
            return refused(401, "Invalid username or password.")
        writes = "/commit/" in request.path or request.path.endswith("/create")
        return refused(401, "Invalid username or password.") if writes and not given else None

    @app.get("/api/whoami-v2")
    def whoami() -> Any:
        return jsonify(name="me", type="user")

    @app.post("/api/repos/create")
    def create() -> Any:
        data = request.get_json()
        owner = data.get("organization") or "me"
        if owner == "others":
            return refused(403, "You don't have the rights to create a dataset there.")
        state.files.setdefault(f"{owner}/{data['name']}", {})
        return jsonify(url=f"{state.address}/datasets/{owner}/{data['name']}")

    @app.post("/api/validate-yaml")
    def validate() -> Any:
        return jsonify(warnings=[], errors=[])

    @app.post("/api/datasets/<owner>/<name>/preupload/<revision>")
    def preupload(owner: str, name: str, revision: str) -> Any:
        rows = request.get_json()["files"]
        modes = {True: "lfs", False: "regular"}
        files = [
            {"path": r["path"], "uploadMode": modes[r["size"] > LFS_BYTES], "shouldIgnore": False}
            for r in rows
        ]
        return jsonify(files=files)

    @app.post("/datasets/<owner>/<name>.git/info/lfs/objects/batch")
    def batch(owner: str, name: str) -> Any:
        if state.full:
            return refused(402, "You have run out of storage.")
        objects = []
        for row in request.get_json()["objects"]:
            href = f"{state.address}/lfs/{row['oid']}"
            actions = {"actions": {"upload": {"href": href}}}
            objects.append({**row, **({} if row["oid"] in state.objects else actions)})
        return jsonify(transfer="basic", objects=objects)

    @app.put("/lfs/<oid>")
    def put(oid: str) -> Any:
        data = request.get_data()
        assert hashlib.sha256(data).hexdigest() == oid
        state.objects[oid] = data
        return ""

    @app.post("/api/datasets/<owner>/<name>/commit/<revision>")
    def commit(owner: str, name: str, revision: str) -> Any:
        files = state.files[f"{owner}/{name}"]
        for line in request.get_data().splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = state.objects[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
        address = f"{state.address}/datasets/{owner}/{name}/commit/1"
        return jsonify(success=True, commitOid="1" * 40, commitUrl=address)

    def info(owner: str, name: str) -> Any:
        files = state.files.get(f"{owner}/{name}")
        if files is None:
            response = refused(404, "Repository not found")
            response.headers["X-Error-Code"] = "RepoNotFound"
            return response
        siblings = [{"rfilename": path} for path in files]
        return jsonify(id=f"{owner}/{name}", sha="1" * 40, siblings=siblings, tags=[])

    @app.get("/api/datasets/<owner>/<name>")
    def dataset(owner: str, name: str) -> Any:
        return info(owner, name)

    @app.get("/api/datasets/<owner>/<name>/revision/<revision>")
    def of_revision(owner: str, name: str, revision: str) -> Any:
        return info(owner, name)

    def entries(owner: str, name: str) -> dict[str, dict[str, Any]]:
        out: dict[str, dict[str, Any]] = {}
        for path, data in state.files[f"{owner}/{name}"].items():
            out[path] = {
                "type": "file",
                "path": path,
                "size": len(data),
                "oid": hashlib.sha1(data).hexdigest(),
            }
            parts = path.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                out[folder] = {"type": "directory", "path": folder, "size": 0, "oid": "0" * 40}
        return out

    @app.get("/api/datasets/<owner>/<name>/tree/<revision>", defaults={"path": ""})
    @app.get("/api/datasets/<owner>/<name>/tree/<revision>/<path:path>")
    def tree(owner: str, name: str, revision: str, path: str) -> Any:
        deep = request.args.get("recursive", "").lower() == "true"
        prefix = path + "/" if path else ""
        rows = [
            row
            for where, row in sorted(entries(owner, name).items())
            if where.startswith(prefix) and (deep or "/" not in where.removeprefix(prefix))
        ]
        return jsonify(rows)

    @app.post("/api/datasets/<owner>/<name>/paths-info/<revision>")
    def paths_info(owner: str, name: str, revision: str) -> Any:
        known = entries(owner, name)
        given = request.get_json(silent=True) or {"paths": request.form.getlist("paths")}
        return jsonify([known[path] for path in given["paths"] if path in known])

    @app.get("/datasets/<owner>/<name>/resolve/<revision>/<path:path>")
    def resolve(owner: str, name: str, revision: str, path: str) -> Any:
        data = state.files[f"{owner}/{name}"].get(path)
        if data is None:
            return refused(404, "Entry not found")
        response = Response(data, mimetype="application/octet-stream")
        response.headers["X-Repo-Commit"] = "1" * 40
        response.set_etag(hashlib.sha1(data).hexdigest())
        response.accept_ranges = "bytes"
        return response.make_conditional(request, accept_ranges=True, complete_length=len(data))

    return app
