-- Answers given side by side in one batch ("ask both") share a mark.
ALTER TABLE messages ADD COLUMN pair VARCHAR;
