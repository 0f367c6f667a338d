CREATE TABLE limits (
    rule TEXT NOT NULL,
    subject BLOB NOT NULL,
    arrival BIGINT NOT NULL,
    PRIMARY KEY (rule, subject)
);
CREATE INDEX limits_by_arrival ON limits (arrival);
CREATE TABLE idempotency (
    name BLOB PRIMARY KEY,
    request BLOB NOT NULL,
    run BLOB NOT NULL,
    lease BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    status BIGINT,
    content_type TEXT,
    body BLOB
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires);
CREATE TABLE probe (
    place BIGINT PRIMARY KEY,
    written_at BIGINT NOT NULL
);
