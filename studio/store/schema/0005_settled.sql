-- A flag that was closed by a decision on rows is open again when the decision is taken back.

ALTER TABLE dismissed_flags ADD COLUMN action_id VARCHAR DEFAULT '';
