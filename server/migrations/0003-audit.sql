CREATE TABLE audit_head (
    log BIGINT PRIMARY KEY,
    size BIGINT NOT NULL,
    edge BLOB NOT NULL,
    written_at BIGINT NOT NULL
);
CREATE TABLE audit_entries (
    position BIGINT PRIMARY KEY,
    leaf BLOB NOT NULL,
    entry TEXT NOT NULL
);
CREATE TABLE audit_checkpoints (
    size BIGINT PRIMARY KEY,
    note TEXT NOT NULL
);
