# SPDX-License-Identifier: MIT
"""What Custom Vision posts, and what it never should."""
import base64
import json
import uuid

MODEL_URI = "https://contoso.blob.core.windows.net/models/model.onnx?sv=2021-12-02&sr=b&sig=c2VjcmV0LXNpZ25hdHVyZQ%3D%3D"
SIGNATURE = "c2VjcmV0LXNpZ25hdHVyZQ"


def training(status="TrainingCompleted", project=None, iteration=None):
    return {"version": "1.0", "type": "Training",
            "Content": {"projectId": project or str(uuid.uuid4()), "iterationId": iteration or str(uuid.uuid4()),
                        "trainingStatus": status}}


def export(status="ExportCompleted", project=None, iteration=None, model_uri=MODEL_URI):
    return {"version": "1.0", "type": "Export",
            "Content": {"projectId": project or str(uuid.uuid4()), "iterationId": iteration or str(uuid.uuid4()),
                        "exportStatus": status, "modelUri": model_uri}}


def connection_test(project=None):
    return {"version": "1.0", "type": "ConnectionTest", "Content": {"projectId": project or str(uuid.uuid4())}}


def seeds():
    """[(event name, document)]: each kind that the service is known to post."""
    return [("training.completed", training()), ("training.failed", training("TrainingFailed")),
            ("export.completed", export()), ("export.failed", export("ExportFailed", model_uri="")),
            ("connection.test", connection_test())]


def base64_text(document):
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.b64encode(raw).decode()


def _without(document, member):
    document = json.loads(json.dumps(document))
    (document if member in document else document["Content"]).pop(member)
    return document


def _with(document, **members):
    document = json.loads(json.dumps(document))
    document["Content"].update(members)
    return document


def malformed():
    """[(reason, text)]: one or more of every kind that can be posted."""
    deep = 1
    for _ in range(40):
        deep = [deep]
    whole = json.dumps(training())
    return [
        ("not-json", "{oops}"),
        ("not-json", base64_text(b"just a sentence")),
        ("not-json", whole + " and more"),
        ("not-base64", "what is this?"),
        ("not-base64", "====" + base64_text(training())),
        ("not-utf8", base64_text(whole.replace("TrainingCompleted", "Training\u00ff").encode("latin-1"))),
        ("truncated", whole[:40]),
        ("truncated", base64_text(whole[:60].encode())),
        ("too-deep", json.dumps(_with(training(), extra=deep))),
        ("wrong-type", json.dumps(_with(training(), projectId=5))),
        ("wrong-type", json.dumps({"version": "1.0", "type": "Training", "Content": "x"})),
        ("wrong-type", base64_text(_with(export(), modelUri=["x"]))),
        ("missing-field", json.dumps(_without(training(), "projectId"))),
        ("missing-field", json.dumps(_without(export(), "iterationId"))),
        ("missing-field", base64_text(_without(training(), "trainingStatus"))),
        ("missing-field", json.dumps(_without(training(), "Content"))),
        ("missing-field", json.dumps(_without(connection_test(), "projectId"))),
        ("bad-uuid", json.dumps(_with(training(), projectId="not-a-uuid"))),
        ("bad-uuid", base64_text(_with(export(), iterationId="12345678-1234-1234-1234-12345678901g"))),
        ("unknown-event", json.dumps({**training(), "type": "Deletion"})),
        ("unknown-event", json.dumps(training("TrainingPaused"))),
    ]


def event_of(document):
    """The event's name, told from the document alone."""
    content = document["Content"]
    if document["type"] == "ConnectionTest":
        return "connection.test"
    status = content.get("trainingStatus") or content.get("exportStatus")
    return f"{document['type'].lower()}.{'completed' if status.endswith('Completed') else 'failed'}"
