package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"thor"
)

// applicationID marks a file as ours, in SQLite's own header field: "thor".
const applicationID = 0x74686f72

// A migration brings a database from one version to the next.
type migration func(ctx context.Context, tx *sql.Tx) error

// statements is a migration by SQL alone.
func statements(query string) migration {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query)
		return err
	}
}

// chainedSince is the schema from which on the audit is chained.
const chainedSince = 3

// migrations bring a database from version n to n+1. They are never edited,
// only added to.
var migrations = []migration{statements(`
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A stream's events are numbered from 1 to head. From floor on every one of
-- them is still in the event table.
CREATE TABLE stream (
	id    INTEGER PRIMARY KEY,
	name  TEXT    NOT NULL UNIQUE,
	type  TEXT    NOT NULL,
	head  INTEGER NOT NULL,
	floor INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
	stream INTEGER NOT NULL REFERENCES stream (id),
	seq    INTEGER NOT NULL,
	key    TEXT    NOT NULL,
	final  INTEGER NOT NULL,
	ts     INTEGER NOT NULL, -- Unix milliseconds
	data   BLOB    NOT NULL,
	PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

-- For pruning: the events that later ones supersede, and the final ones by age.
CREATE INDEX event_passing ON event (stream, seq) WHERE final = 0;
CREATE INDEX event_final ON event (ts) WHERE final = 1;

-- The newest event of each key.
CREATE TABLE latest (
	stream INTEGER NOT NULL REFERENCES stream (id),
	key    TEXT    NOT NULL,
	seq    INTEGER NOT NULL,
	PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER final_gone AFTER DELETE ON event WHEN old.final = 1 BEGIN
	DELETE FROM latest WHERE stream = old.stream AND key = old.key AND seq = old.seq;
END;

CREATE TABLE stage (
	feature TEXT PRIMARY KEY,
	stage   TEXT    NOT NULL,
	rev     INTEGER NOT NULL,
	weight  INTEGER NOT NULL,
	reason  TEXT    NOT NULL,
	since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	feature    TEXT    NOT NULL,
	action     TEXT    NOT NULL,
	from_stage TEXT    NOT NULL,
	to_stage   TEXT    NOT NULL,
	rev        INTEGER NOT NULL,
	weight     INTEGER NOT NULL,
	actor      TEXT    NOT NULL,
	reason     TEXT    NOT NULL,
	gate       TEXT    NOT NULL,
	build      TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_feature ON audit (feature, id);
`), statements(`
-- A key leaves with its newest event, final or not.
DROP TRIGGER final_gone;
CREATE TRIGGER newest_gone AFTER DELETE ON event BEGIN
	DELETE FROM latest WHERE stream = old.stream AND key = old.key AND seq = old.seq;
END;

-- A stream that ever had a final event is a history, and ages as a whole.
ALTER TABLE stream ADD COLUMN history INTEGER NOT NULL DEFAULT 0;
UPDATE stream SET history = EXISTS (SELECT 1 FROM event WHERE stream = stream.id AND final = 1);
`), func(ctx context.Context, tx *sql.Tx) error {
	return inTurn(ctx, tx, statements(`
-- Frozen by whom, why and since when; 0 is not frozen.
ALTER TABLE stage ADD COLUMN frozen_by TEXT NOT NULL DEFAULT '';
ALTER TABLE stage ADD COLUMN frozen_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE stage ADD COLUMN frozen_since INTEGER NOT NULL DEFAULT 0;

-- Each entry of the audit has the hash of the one before and its own.
ALTER TABLE audit ADD COLUMN previous TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';

-- How many entries the audit has, and the hash of the last.
CREATE TABLE audit_head (
	one   INTEGER PRIMARY KEY CHECK (one = 1),
	count INTEGER NOT NULL,
	hash  TEXT    NOT NULL
) STRICT;
`), chainAudit, statements(`
-- The audit is only added to.
CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN
	SELECT raise(ABORT, 'the audit is only added to');
END;
CREATE TRIGGER audit_delete BEFORE DELETE ON audit BEGIN
	SELECT raise(ABORT, 'the audit is only added to');
END;
CREATE TRIGGER audit_replace BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = new.id) BEGIN
	SELECT raise(ABORT, 'the audit is only added to');
END;
`))
}}

func inTurn(ctx context.Context, tx *sql.Tx, steps ...migration) error {
	for _, step := range steps {
		if err := step(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// recognise refuses a file that is not ours and one that a newer thor has
// written.
func recognise(ctx context.Context, db *sql.DB, path string) error {
	var version, application, tables int
	err := db.QueryRowContext(ctx, `SELECT
		(SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id),
		(SELECT count(*) FROM sqlite_master)`).Scan(&version, &application, &tables)
	switch {
	case err != nil:
		return err
	case application != applicationID && tables > 0:
		return thor.Errorf(thor.ECONFLICT, "%s is a database of another program", path).
			WithHint("Nothing was changed. Choose another directory with --data.")
	case version > len(migrations):
		return thor.Errorf(thor.ECONFLICT, "%s was written by a newer thor (schema %d, this build knows %d)", path, version, len(migrations)).
			WithHint("Nothing was changed. Start the newer build, or choose another directory with --data.")
	}
	return nil
}

// migrate brings the database to the newest version.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if err := step(ctx, db, version); err != nil {
			return fmt.Errorf("migrate %s to schema %d: %w", path, version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := migrations[version](ctx, tx); err != nil {
		return err
	}
	pragmas := fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d;", version+1, applicationID)
	if _, err := tx.ExecContext(ctx, pragmas); err != nil {
		return err
	}
	return tx.Commit()
}
