ALTER TABLE accounts ADD COLUMN disabled_at BIGINT;
ALTER TABLE failed_attempts ADD COLUMN holder BLOB;
CREATE INDEX failed_attempts_of_holder ON failed_attempts (holder);
