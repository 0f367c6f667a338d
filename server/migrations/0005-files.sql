CREATE TABLE files (
    edition TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    channel TEXT NOT NULL,
    digest BLOB NOT NULL,
    size BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    downloads BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (edition, version, name)
);
