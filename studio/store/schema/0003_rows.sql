-- Rows at a million: what was said lies in `contents`, appended and never changed; what is thought of it in narrow
-- versions, of which one is current. A bulk change writes no text again, and a page of the table reads little.

CREATE TABLE contents (
    id           BIGINT NOT NULL,       -- counts up; a version points to it
    messages     VARCHAR NOT NULL,      -- JSON: [{"role", "content", "learn"?, "extra"?}]
    answer       VARCHAR NOT NULL,
    rejected     VARCHAR,
    extra        VARCHAR NOT NULL,      -- JSON
    answer_extra VARCHAR NOT NULL,      -- JSON
    key          BIGINT NOT NULL        -- 64 bits of a hash of what is asked and answered; 0: not computed yet
);

CREATE TABLE row_versions (
    n            BIGINT NOT NULL,       -- the moment in the row's id, in nanoseconds: unique, and found without an index
    id           VARCHAR NOT NULL,
    version      INTEGER NOT NULL,
    is_current   BOOLEAN NOT NULL,
    project_id   VARCHAR NOT NULL,
    content_id   BIGINT NOT NULL,
    status       VARCHAR NOT NULL,
    split        VARCHAR NOT NULL,
    aside        BOOLEAN NOT NULL,
    group_key    VARCHAR NOT NULL,
    source       VARCHAR NOT NULL,
    message_id   VARCHAR,
    parent_id    VARCHAR,
    author       VARCHAR NOT NULL,
    tags         VARCHAR NOT NULL,      -- JSON: ["…"], sorted
    rating       TINYINT,
    note         VARCHAR NOT NULL,
    learn_answer BOOLEAN NOT NULL,
    head         VARCHAR NOT NULL,      -- how the question begins, for sorting
    chars        INTEGER NOT NULL,      -- length of prompt and answer, in characters
    action_id    VARCHAR NOT NULL,
    created_at   TIMESTAMP NOT NULL
);

CREATE TABLE actions (
    id         VARCHAR NOT NULL,
    project_id VARCHAR NOT NULL,
    kind       VARCHAR NOT NULL,
    rows       BIGINT NOT NULL,
    author     VARCHAR NOT NULL,
    detail     VARCHAR NOT NULL,
    undoes     VARCHAR,
    created_at TIMESTAMP NOT NULL
);

-- What the last scans found. A flag speaks of one content: it is open as long as that is the row's.
CREATE TABLE flags (
    project_id VARCHAR NOT NULL,
    example_id VARCHAR NOT NULL,
    content_id BIGINT NOT NULL,
    kind       VARCHAR NOT NULL,
    reason     VARCHAR NOT NULL,
    other_id   VARCHAR,
    field      VARCHAR NOT NULL,
    span_from  INTEGER,
    span_to    INTEGER,
    key        VARCHAR NOT NULL
);

CREATE TABLE dismissed_flags (
    key        VARCHAR NOT NULL,
    author     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE snapshots (
    id         VARCHAR NOT NULL,
    project_id VARCHAR NOT NULL,
    name       VARCHAR NOT NULL,
    sha256     VARCHAR NOT NULL,
    rows       BIGINT NOT NULL,
    by_split   VARCHAR NOT NULL,        -- JSON: {"train": 1, …}
    author     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- A search index beside this file knows by it whether it belongs to it.
CREATE TABLE database_identity (id VARCHAR NOT NULL);
INSERT INTO database_identity SELECT uuid()::VARCHAR;

ALTER TABLE projects ADD COLUMN rules VARCHAR DEFAULT '[]';      -- JSON: [{"id", "kind", …}]
ALTER TABLE projects ADD COLUMN shares VARCHAR DEFAULT '{}';     -- JSON: {"validation", "test", "seed"}
ALTER TABLE projects ADD COLUMN goal INTEGER DEFAULT 0;

INSERT INTO contents
SELECT row_number() OVER (ORDER BY id, version), messages, answer, rejected, extra, '{}', 0 FROM example_versions;

INSERT INTO row_versions
SELECT
    coalesce(CASE WHEN len(id) >= 18 THEN TRY_CAST('0x' || id[3:18] AS BIGINT) END, ('0x' || md5(id)[1:15])::BIGINT),
    id,
    version,
    version = max(version) OVER (PARTITION BY id),
    project_id,
    row_number() OVER (ORDER BY id, version),
    status,
    split,
    false,
    '',
    source,
    message_id,
    NULL,
    author,
    '[]',
    NULL,
    '',
    true,
    json_extract_string(messages, '$[#-1].content')[:40],
    len(json_extract_string(messages, '$[#-1].content')) + len(answer),
    '',
    created_at
FROM example_versions
ORDER BY id, version;

DROP TABLE example_versions;
