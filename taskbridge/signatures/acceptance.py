"""Whether every value of one JSON Schema is a value of another: of the schemas that msgspec writes."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_SAME = ("format", "pattern", "contentEncoding", "multipleOf")
_IGNORED = {"title", "description", "default", "$defs", "examples", "discriminator"}


def accepts(new: Any, old: Any, /) -> bool:
    """Whether what was sent for `old` can be read as `new`. In doubt it cannot."""
    return _Comparison(new, old).accepts(new, old)


class _Comparison:
    def __init__(self, new: Any, old: Any) -> None:
        self._new_definitions, self._old_definitions = new.get("$defs", {}), old.get("$defs", {})
        self._assumed: set[tuple[str, str]] = set()

    def accepts(self, new: Schema, old: Schema) -> bool:
        if "$ref" in new and "$ref" in old:
            pair = (new["$ref"], old["$ref"])
            if pair in self._assumed:
                return True
            self._assumed.add(pair)
        new, old = _resolved(new, self._new_definitions), _resolved(old, self._old_definitions)
        meant = {key: value for key, value in new.items() if key not in _IGNORED}
        if not meant:
            return not _is_rebuilt(old)
        if "anyOf" in old:
            return all(self.accepts(new, member) for member in old["anyOf"])
        if "anyOf" in new:
            return any(self.accepts(member, old) for member in new["anyOf"])
        if "enum" in old or "const" in old:
            return self._accepts_values(new, old)
        if "enum" in new or "const" in new:
            return False
        return self._accepts_kind(new, old)

    def _accepts_values(self, new: Schema, old: Schema) -> bool:
        values = old.get("enum", [old.get("const")])
        if "enum" in new or "const" in new:
            return all(value in new.get("enum", [new.get("const")]) for value in values)
        return all(_kind_of(value) == new.get("type") for value in values) and set(new) - _IGNORED <= {"type"}

    def _accepts_kind(self, new: Schema, old: Schema) -> bool:
        kinds = (new.get("type"), old.get("type"))
        if kinds[0] != kinds[1] and kinds != ("number", "integer"):
            return False
        if any(key in new and new[key] != old.get(key) for key in _SAME):
            return False
        if any(key in old and key not in new for key in ("format", "contentEncoding")):
            return False  # what was a date would arrive as its text
        if any(key in new and (key not in old or old[key] < new[key]) for key in _LOWER):
            return False
        if any(key in new and (key not in old or old[key] > new[key]) for key in _UPPER):
            return False
        if new.get("uniqueItems") and not old.get("uniqueItems"):
            return False
        return self._accepts_members(new, old) if kinds[0] == "object" else self._accepts_items(new, old)

    def _accepts_members(self, new: Schema, old: Schema) -> bool:
        properties, were = new.get("properties", {}), old.get("properties", {})
        if not set(new.get("required", ())) <= set(old.get("required", ())):
            return False
        if new.get("additionalProperties") is False and not set(were) <= set(properties):
            return False
        if any(not self.accepts(properties[name], were[name]) for name in properties.keys() & were.keys()):
            return False
        return self._accepts_optional(new.get("additionalProperties"), old.get("additionalProperties"))

    def _accepts_items(self, new: Schema, old: Schema) -> bool:
        first, were = new.get("prefixItems", []), old.get("prefixItems", [])
        if len(first) != len(were):
            return False
        if any(not self.accepts(one, other) for one, other in zip(first, were, strict=True)):
            return False
        return self._accepts_optional(new.get("items"), old.get("items"))

    def _accepts_optional(self, new: Any, old: Any) -> bool:
        if not isinstance(new, dict) or not new:
            return True
        return isinstance(old, dict) and self.accepts(new, old)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _is_rebuilt(schema: Any) -> bool:
    """Whether values of this schema arrive as more than plain JSON: the new code would get what the old did not."""
    if isinstance(schema, dict):
        marks = schema.keys() & {"format", "contentEncoding", "properties", "prefixItems", "uniqueItems"}
        return bool(marks) or any(map(_is_rebuilt, schema.values()))
    return isinstance(schema, list) and any(map(_is_rebuilt, schema))


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
    return "string" if isinstance(value, str) else ""
