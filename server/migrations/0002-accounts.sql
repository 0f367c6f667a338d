CREATE TABLE accounts (
    id BLOB PRIMARY KEY,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    must_change BIGINT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    totp_secret BLOB,
    totp_step BIGINT NOT NULL,
    totp_since BIGINT
);
CREATE TABLE recovery_codes (
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (account, digest)
);
CREATE TABLE registrations (
    digest BLOB PRIMARY KEY,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL,
    password TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX registrations_of_address ON registrations (address_key);
CREATE TABLE mailed_tokens (
    digest BLOB PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    address TEXT NOT NULL,
    address_key TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX mailed_tokens_of_account ON mailed_tokens (account);
CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    passed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    agent TEXT NOT NULL,
    network TEXT NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account);
CREATE TABLE refresh_families (
    id BLOB PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX refresh_families_of_account ON refresh_families (account);
CREATE TABLE refresh_tokens (
    digest BLOB PRIMARY KEY,
    family BLOB NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE,
    used_at BIGINT
);
CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family);
CREATE TABLE known_devices (
    digest BLOB PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX known_devices_of_account ON known_devices (account);
CREATE TABLE failed_attempts (
    place BLOB PRIMARY KEY,
    failures BIGINT NOT NULL,
    allowed_at BIGINT NOT NULL,
    forgotten_at BIGINT NOT NULL
);
CREATE INDEX failed_attempts_by_end ON failed_attempts (forgotten_at);
CREATE TABLE outbox (
    id BLOB PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    tries BIGINT NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due_at);
