-- Ids are text that sorts by creation time; times are UTC without a zone. No foreign keys: DuckDB refuses updates of
-- referenced rows, so the use cases keep references whole.

CREATE TABLE projects (
    id            VARCHAR PRIMARY KEY,
    name          VARCHAR NOT NULL,
    system_prompt VARCHAR NOT NULL,
    guidelines    VARCHAR NOT NULL,
    format        VARCHAR NOT NULL,
    language      VARCHAR NOT NULL,
    shots         VARCHAR NOT NULL,   -- JSON: [{"prompt", "answer"}]
    created_at    TIMESTAMP NOT NULL
);

CREATE TABLE conversations (
    id         VARCHAR PRIMARY KEY,
    project_id VARCHAR NOT NULL,
    title      VARCHAR NOT NULL,
    leaf_id    VARCHAR,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE messages (
    id              VARCHAR PRIMARY KEY,
    conversation_id VARCHAR NOT NULL,
    parent_id       VARCHAR,
    role            VARCHAR NOT NULL,
    text            VARCHAR NOT NULL,
    author          VARCHAR NOT NULL,
    adapter_id      VARCHAR,
    model           VARCHAR NOT NULL,
    prompt          VARCHAR NOT NULL,
    template_hash   VARCHAR NOT NULL,
    sampling        VARCHAR NOT NULL,  -- JSON
    state           VARCHAR NOT NULL,
    created_at      TIMESTAMP NOT NULL
);

CREATE TABLE corrections (
    id         VARCHAR PRIMARY KEY,
    message_id VARCHAR NOT NULL,
    project_id VARCHAR NOT NULL,
    example_id VARCHAR,
    verdict    VARCHAR NOT NULL,
    original   VARCHAR NOT NULL,
    text       VARCHAR NOT NULL,
    reason     VARCHAR NOT NULL,
    note       VARCHAR NOT NULL,
    author     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Every version of every row; the highest version of an id is the row.
CREATE TABLE example_versions (
    id         VARCHAR NOT NULL,
    version    INTEGER NOT NULL,
    project_id VARCHAR NOT NULL,
    status     VARCHAR NOT NULL,
    messages   VARCHAR NOT NULL,       -- JSON: [{"role", "content"}]
    answer     VARCHAR NOT NULL,
    rejected   VARCHAR,
    split      VARCHAR NOT NULL,
    source     VARCHAR NOT NULL,
    message_id VARCHAR,
    extra      VARCHAR NOT NULL,       -- JSON
    author     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (id, version)
);

CREATE TABLE runs (
    id          VARCHAR PRIMARY KEY,
    project_id  VARCHAR NOT NULL,
    number      INTEGER NOT NULL,
    snapshot    VARCHAR NOT NULL,
    rows        INTEGER NOT NULL,
    recipe      VARCHAR NOT NULL,      -- JSON
    status      VARCHAR NOT NULL,
    adapter_id  VARCHAR,
    error       VARCHAR NOT NULL,
    seconds     DOUBLE,
    result      VARCHAR NOT NULL,      -- JSON
    created_at  TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
);

-- Which version of which row a run trained on.
CREATE TABLE run_examples (
    run_id     VARCHAR NOT NULL,
    example_id VARCHAR NOT NULL,
    version    INTEGER NOT NULL
);

CREATE TABLE adapters (
    id         VARCHAR PRIMARY KEY,
    project_id VARCHAR NOT NULL,
    run_id     VARCHAR NOT NULL,
    name       VARCHAR NOT NULL,
    base       VARCHAR NOT NULL,       -- JSON
    sha256     VARCHAR NOT NULL,
    method     VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    is_deleted BOOLEAN NOT NULL
);

-- Appended: the last row of a project says which adapter is live (NULL: the base).
CREATE SEQUENCE activation_order;
CREATE TABLE activations (
    position   BIGINT NOT NULL DEFAULT nextval('activation_order'),
    project_id VARCHAR NOT NULL,
    adapter_id VARCHAR,
    why        VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE check_results (
    adapter_id  VARCHAR NOT NULL,
    example_id  VARCHAR NOT NULL,
    split       VARCHAR NOT NULL,
    prompt      VARCHAR NOT NULL,
    expected    VARCHAR NOT NULL,
    answer      VARCHAR NOT NULL,
    base_answer VARCHAR NOT NULL,
    PRIMARY KEY (adapter_id, example_id)
);

-- What the base said to a prompt under greedy decoding: asked once, since the base never changes.
CREATE TABLE base_answers (
    key    VARCHAR PRIMARY KEY,
    answer VARCHAR NOT NULL
);
