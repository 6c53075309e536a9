package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"time"

	"thor"
)

// chained writes an audit entry behind the last one and moves the head.
func chained(ctx context.Context, tx *sql.Tx, t thor.Transition) (thor.Transition, error) {
	head, err := readHead(ctx, tx)
	if err != nil {
		return t, err
	}
	// Somebody may have put an entry on: the step is stored all the same.
	var last int64
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM audit").Scan(&last); err != nil {
		return t, err
	}
	t.ID, t.Previous = max(head.Count, last)+1, head.Hash
	t.Hash = t.Sum(t.Previous)
	_, err = tx.ExecContext(ctx, `
		INSERT INTO audit (id, at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build, previous, hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.ID, t.At.UnixMilli(), t.Feature, t.Action, t.From.String(), t.To.String(), t.Rev, t.Weight,
		t.Actor, t.Reason, t.Gate, t.Build, t.Previous, t.Hash)
	if err != nil {
		return t, err
	}
	return t, writeHead(ctx, tx, thor.AuditHead{Count: t.ID, Hash: t.Hash})
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readHead reads the head of the audit; one that is missing is that of an empty
// audit.
func readHead(ctx context.Context, q queryer) (head thor.AuditHead, err error) {
	err = q.QueryRowContext(ctx, "SELECT count, hash FROM audit_head").Scan(&head.Count, &head.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return head, err
}

func writeHead(ctx context.Context, tx *sql.Tx, head thor.AuditHead) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO audit_head (one, count, hash) VALUES (1, ?, ?)", head.Count, head.Hash)
	return err
}

// chainAudit gives the entries of a store that had no chain their hashes.
func chainAudit(ctx context.Context, tx *sql.Tx) error {
	entries, err := readAudit(ctx, tx, "ORDER BY id")
	if err != nil {
		return err
	}
	var head thor.AuditHead
	for i, t := range entries {
		// Ids were given in order, but nothing held them together.
		id := t.ID
		t.ID = int64(i + 1)
		t.Previous = head.Hash
		head = thor.AuditHead{Count: t.ID, Hash: t.Sum(head.Hash)}
		_, err := tx.ExecContext(ctx, "UPDATE audit SET id = ?, previous = ?, hash = ? WHERE id = ?", t.ID, t.Previous, head.Hash, id)
		if err != nil {
			return err
		}
	}
	return writeHead(ctx, tx, head)
}

// readAudit reads entries; rest is what follows FROM audit. A stage that is none,
// which somebody has written there, becomes one that nobody knows.
func readAudit(ctx context.Context, q queryer, rest string, args ...any) ([]thor.Transition, error) {
	rows, err := q.QueryContext(ctx, `
		SELECT id, at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build, previous, hash
		FROM audit `+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var entries []thor.Transition
	for rows.Next() {
		var t thor.Transition
		var at int64
		var from, to string
		err := rows.Scan(&t.ID, &at, &t.Feature, &t.Action, &from, &to, &t.Rev, &t.Weight,
			&t.Actor, &t.Reason, &t.Gate, &t.Build, &t.Previous, &t.Hash)
		if err != nil {
			return nil, err
		}
		t.At, t.From, t.To = time.UnixMilli(at).UTC(), stageOf(from), stageOf(to)
		entries = append(entries, t)
	}
	return entries, rows.Err()
}

// stageOf is the stage of a name, one that nobody knows for another name.
func stageOf(name string) thor.Stage {
	s, err := thor.ParseStage(name)
	if err != nil {
		return ^thor.Stage(0)
	}
	return s
}

// Audit implements [store.Stages].
func (s *Store) Audit(ctx context.Context) (thor.Audit, error) {
	a, err := audit(ctx, s.read)
	return a, explain(err, s.dir)
}

func audit(ctx context.Context, db *sql.DB) (a thor.Audit, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return a, err
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if a.Entries, err = readAudit(ctx, tx, "ORDER BY id"); err != nil {
		return a, err
	}
	if a.Head, err = readHead(ctx, tx); err != nil {
		return a, err
	}
	a.Stages, err = readStages(ctx, tx)
	return a, err
}

// ReadAudit reads the audit of the store in dir without opening the store: a
// server may be using it, and nothing is changed.
func ReadAudit(ctx context.Context, dir string) (a thor.Audit, err error) {
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); err != nil {
		return a, thor.Errorf(thor.ENOTFOUND, "there is no store in %s: %w", dir, err).WithHint("--data names another directory.")
	}
	db, err := connect(path, readOnly)
	if err != nil {
		return a, explain(err, dir)
	}
	defer db.Close() //nolint:errcheck // it only read
	if err := recognise(ctx, db, path); err != nil {
		return a, explain(err, dir)
	}
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return a, explain(err, dir)
	}
	if version < chainedSince {
		return a, thor.Errorf(thor.ECONFLICT, "%s was written by an older thor (schema %d): its audit has no chain yet", path, version).
			WithHint("Start this build on it once: thor serve --data %s.", dir)
	}
	a, err = audit(ctx, db)
	return a, explain(err, dir)
}
