"""The document of the API (OpenAPI 3.1), made of the queries and answers themselves."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from otel_embedder import __version__
from otel_embedder.api.news import NewTexts
from otel_embedder.api.querying import is_many
from otel_embedder.api.questions import QUESTIONS
from otel_embedder.api.status import Beat, Status
from otel_embedder.search.groups.found import FreshGroups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_embedder.api.questions import Question

    Json = dict[str, object]

REFERENCE = "#/components/schemas/{model}"
PROBLEM = {
    "type": "object",
    "description": "What is wrong, and what would do (RFC 9457).",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "Which part of the question it is."},
    },
}
TOKEN = {
    "type": "object",
    "required": ["token"],
    "properties": {"token": {"type": "string"}},
}


@cache
def encoded() -> bytes:
    """Give the document as JSON; made once, which takes 30 ms of CPU."""
    return json.dumps(_document()).encode()


def _document() -> Json:
    schemas: Json = {"Problem": PROBLEM}
    paths: Json = {f"/api/v1/{each.name}": _path(each, schemas) for each in QUESTIONS}
    status = _schema(TypeAdapter(Status), schemas)
    said = [_schema(TypeAdapter(kind), schemas) for kind in (Beat, NewTexts, FreshGroups)]
    paths["/api/v1/status"] = {"get": _operation("status", "How all is.", status)}
    paths["/api/v1/events"] = {
        "get": _operation(
            "events",
            "As server-sent events: how all is each second (`status`), texts that have come "
            "(`texts`), and failures that are new or have come again (`groups`).",
            {"oneOf": said},
            media_type="text/event-stream",
        )
    }
    begun = _operation("begin", "Give the page a cookie for a token.", None)
    paths["/api/v1/session"] = {
        "post": {**begun, "requestBody": _body(TOKEN), "security": []},
        "delete": {**_operation("end", "Take the cookie back.", None), "security": []},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otel-embedder",
            "version": __version__,
            "license": {"name": "Apache-2.0"},
        },
        "paths": paths,
        "security": [{}, {"token": []}, {"cookie": []}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "otel_embedder"},
            },
        },
    }


def _path(question: Question, schemas: Json) -> Json:
    """Describe both ways of asking: fields behind the address, or an object of JSON."""
    answer = _schema(question.answer, schemas)
    query = question.query.model_json_schema(ref_template=REFERENCE)
    operation = _operation(question.name, question.summary, answer)
    return {
        "get": {**operation, "parameters": [*_parameters(question, query)]},
        "post": {
            **_operation(f"{question.name}_in_body", question.summary, answer),
            "requestBody": _body(query),
        },
    }


def _parameters(question: Question, query: Mapping[str, object]) -> Iterator[Json]:
    fields, required = query["properties"], query.get("required", [])
    if not isinstance(fields, dict) or not isinstance(required, list):
        return
    for name, schema in fields.items():
        repeated = {"explode": True, "style": "form"} if is_many(question.query, name) else {}
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
            **repeated,
        }


def _operation(
    name: str, summary: str, answer: Json | None, *, media_type: str = "application/json"
) -> Json:
    done: Json = {"description": "No content."}
    if answer is not None:
        done = {"description": "The answer.", "content": {media_type: {"schema": answer}}}
    problem = {"schema": {"$ref": REFERENCE.format(model="Problem")}}
    wrong = {"description": "A problem.", "content": {"application/problem+json": problem}}
    responses = {"200" if answer is not None else "204": done, "default": wrong}
    return {"operationId": name, "summary": summary, "responses": responses}


def _body(schema: Mapping[str, object]) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _schema(answer: TypeAdapter[object], schemas: Json) -> Json:
    """Give the schema of an answer; what it refers to goes to the others."""
    made = answer.json_schema(mode="serialization", ref_template=REFERENCE)
    name = str(made["title"])
    schemas |= made.pop("$defs", {})
    schemas[name] = made
    return {"$ref": REFERENCE.format(model=name)}
