-- The sides of the split: which were given with the row, what finds near-duplicates again, and each dealing.

ALTER TABLE row_versions ADD COLUMN pinned BOOLEAN DEFAULT false;
UPDATE row_versions SET pinned = true WHERE split != 'train';

CREATE TABLE sketches (
    content_id BIGINT NOT NULL,
    project_id VARCHAR NOT NULL,
    scheme     VARCHAR NOT NULL,        -- sketches of another scheme can't be compared
    bands      BLOB NOT NULL            -- unsigned 32-bit integers, little-endian
);

-- Every change of how a project's rows are dealt, also one that took an earlier one back.
CREATE TABLE deals (
    action_id   VARCHAR NOT NULL,
    project_id  VARCHAR NOT NULL,
    before      VARCHAR NOT NULL,       -- JSON: the shares until then, {} for none
    after       VARCHAR NOT NULL
);

-- A snapshot's file may have several names; a run names the one it used.
ALTER TABLE runs ADD COLUMN snapshot_name VARCHAR DEFAULT '';
