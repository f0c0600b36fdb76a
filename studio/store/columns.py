"""Rows as columns: what the database can hand to a file of columns without an object for each row."""

from __future__ import annotations

PLAIN = (
    "c.answer_extra = '{}' AND NOT contains(c.messages, '\"extra\":') AND NOT contains(c.messages, '\"assistant\"')"
    " AND NOT contains(c.extra, '\"tools\":') AND c.messages != '[]' AND NOT contains(c.messages, '\\u0000')"
    # The answer begins with something to be seen; any other may be blank, and is looked at by itself.
    " AND (unicode(c.answer) BETWEEN 33 AND 126 OR unicode(c.answer) BETWEEN 161 AND 5759"
    " OR unicode(c.answer) BETWEEN 12289 AND 65278)"
)
"""A row of texts alone, with one question and a visible answer."""

_TURNS = (
    'list_append(from_json(c.messages, \'[{"role":"VARCHAR","content":"VARCHAR"}]\'),'
    " {'role': 'assistant', 'content': c.answer})"
)
_CREATED = (
    "strftime(v.created_at, '%Y-%m-%dT%H:%M:%S') ||"
    " CASE WHEN microsecond(v.created_at) % 1000000 = 0 THEN '' ELSE strftime(v.created_at, '.%f') END || '+00:00'"
)
VERSION_COLUMNS = (
    "v.id, v.status, v.split, from_json(v.tags, '[\"VARCHAR\"]') AS tags,"
    " v.rating::BIGINT AS rating, v.note, v.source, v.author, v.version::VARCHAR AS version,"
    f" {_CREATED} AS created_at, v.aside, v.learn_answer,"
    " CASE WHEN v.group_key = '' THEN '' ELSE to_json(v.group_key)::VARCHAR END AS \"group\","
    " CASE WHEN coalesce(v.parent_id, '') = '' THEN '' ELSE to_json(v.parent_id)::VARCHAR END AS parent_id,"
    " CASE WHEN coalesce(v.message_id, '') = '' THEN '' ELSE to_json(v.message_id)::VARCHAR END AS message_id"
)
TEXT_COLUMNS = f"{_TURNS} AS messages, c.rejected, c.extra, {PLAIN} AS is_plain"
"""A row's fields; `messages` are all turns, `extra`, `group` and the links JSON (`''`: none). `messages` of a row that
is not plain may lack something."""
