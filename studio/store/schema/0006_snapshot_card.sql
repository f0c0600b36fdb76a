-- What the card of an exported snapshot says of its project is frozen with it.

ALTER TABLE snapshots ADD COLUMN project_name VARCHAR DEFAULT '';
ALTER TABLE snapshots ADD COLUMN language VARCHAR DEFAULT 'en';
UPDATE snapshots SET project_name = p.name, language = p.language FROM projects p WHERE p.id = snapshots.project_id;
