-- Times are seconds since 1970, UTC.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE devices (
	id     INTEGER PRIMARY KEY,
	name   TEXT NOT NULL UNIQUE,
	online INTEGER NOT NULL DEFAULT 0,
	since  INTEGER NOT NULL DEFAULT 0,
	agent  TEXT NOT NULL DEFAULT '',
	facts  BLOB,
	first  INTEGER NOT NULL, -- heard of
	seen   INTEGER NOT NULL  -- heard from
);

CREATE TABLE offers (
	job     TEXT NOT NULL,
	whom    TEXT NOT NULL,
	payload BLOB NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (job, whom)
);

CREATE TABLE rollouts (job TEXT PRIMARY KEY, document BLOB NOT NULL, at INTEGER NOT NULL);

CREATE TABLE statuses (
	device INTEGER NOT NULL,
	job    TEXT NOT NULL,
	rev    INTEGER NOT NULL,
	state  TEXT NOT NULL,
	at     INTEGER NOT NULL, -- heard
	status BLOB NOT NULL,
	PRIMARY KEY (device, job)
) WITHOUT ROWID;
CREATE INDEX statuses_job ON statuses (job, state);

-- Each state and step that a job went through on a device.
CREATE TABLE passages (
	device INTEGER NOT NULL,
	job    TEXT NOT NULL,
	rev    INTEGER NOT NULL,
	state  TEXT NOT NULL,
	step   TEXT NOT NULL,
	at     INTEGER NOT NULL,
	PRIMARY KEY (device, job, rev)
) WITHOUT ROWID;

CREATE TABLE alerts (
	id       INTEGER PRIMARY KEY,
	device   INTEGER NOT NULL,
	name     TEXT NOT NULL,
	severity TEXT NOT NULL,
	since    INTEGER NOT NULL,
	cleared  INTEGER, -- NULL while it is raised
	value    BLOB,
	rule     TEXT NOT NULL,
	UNIQUE (device, name, since)
);

CREATE TABLE health (
	device INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL DEFAULT 1,
	cpu REAL, celsius REAL, load REAL, memory REAL, disk REAL, rx REAL, tx REAL,
	PRIMARY KEY (device, at)
) WITHOUT ROWID;
CREATE TABLE health_5m (
	device INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL DEFAULT 1,
	cpu REAL, celsius REAL, load REAL, memory REAL, disk REAL, rx REAL, tx REAL,
	PRIMARY KEY (device, at)
) WITHOUT ROWID;
CREATE TABLE health_1h (
	device INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL DEFAULT 1,
	cpu REAL, celsius REAL, load REAL, memory REAL, disk REAL, rx REAL, tx REAL,
	PRIMARY KEY (device, at)
) WITHOUT ROWID;

CREATE TABLE actions (
	id      INTEGER PRIMARY KEY,
	at      INTEGER NOT NULL,
	who     TEXT NOT NULL,
	did     TEXT NOT NULL,
	object  TEXT NOT NULL,
	because TEXT NOT NULL,
	outcome TEXT NOT NULL
);
