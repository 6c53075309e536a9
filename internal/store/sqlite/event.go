package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"thor"
)

// Append implements [store.Events].
func (s *Store) Append(ctx context.Context, at time.Time, events []thor.Event) ([]thor.Event, error) {
	var stored []thor.Event
	err := s.transact(ctx, func(tx *sql.Tx) (err error) {
		stored, err = s.appendIn(ctx, tx, at, events)
		return err
	})
	return stored, err
}

// transact runs fn in a writing transaction.
func (s *Store) transact(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return explain(err, s.dir)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := fn(tx); err != nil {
		return explain(err, s.dir)
	}
	return explain(tx.Commit(), s.dir)
}

// streamRow is a row of the stream table.
type streamRow struct {
	id, head int64
	history  bool // it got a final event
}

// appendIn numbers and inserts events within a transaction.
func (s *Store) appendIn(ctx context.Context, tx *sql.Tx, at time.Time, events []thor.Event) ([]thor.Event, error) {
	insert := tx.StmtContext(ctx, s.insertEvent)
	defer insert.Close() //nolint:errcheck // it ends with the transaction
	point := tx.StmtContext(ctx, s.pointLatest)
	defer point.Close() //nolint:errcheck // it ends with the transaction
	at = at.UTC().Truncate(time.Millisecond)
	stored := slices.Clone(events)
	streams := map[thor.StreamID]*streamRow{}
	for i := range stored {
		e := &stored[i]
		row := streams[e.Stream]
		if row == nil {
			row = &streamRow{}
			streams[e.Stream] = row
			err := tx.QueryRowContext(ctx, `
				INSERT INTO stream (name, type, head, floor) VALUES (?, ?, 0, 1)
				ON CONFLICT (name) DO UPDATE SET head = head RETURNING id, head`, e.Stream, e.Type).Scan(&row.id, &row.head)
			if err != nil {
				return nil, err
			}
		}
		row.head++
		row.history = row.history || e.Final
		e.Version = thor.Version{Epoch: s.epoch, Seq: uint64(row.head)} //nolint:gosec // it counts up from 0
		e.Time = at
		if _, err := insert.ExecContext(ctx, row.id, row.head, e.Key, e.Final, at.UnixMilli(), []byte(e.Data)); err != nil {
			return nil, err
		}
		if _, err := point.ExecContext(ctx, row.id, e.Key, row.head); err != nil {
			return nil, err
		}
	}
	for _, row := range streams {
		_, err := tx.ExecContext(ctx, "UPDATE stream SET head = ?, history = max(history, ?) WHERE id = ?", row.head, row.history, row.id)
		if err != nil {
			return nil, err
		}
	}
	return stored, nil
}

// Latest implements [store.Events].
func (s *Store) Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error) {
	limit := w.Limit
	if limit == 0 {
		limit = -1
	}
	version, events, err := s.query(ctx, id, `
		SELECT seq, key, final, ts, data FROM (
			SELECT l.seq, l.key, e.final, e.ts, e.data
			FROM latest l JOIN event e ON e.stream = l.stream AND e.seq = l.seq
			WHERE l.stream = ? AND l.key >= ? ORDER BY l.key DESC LIMIT ?
		) ORDER BY seq`, w.From, limit)
	return version, events, explain(err, s.dir)
}

// Since implements [store.Events].
func (s *Store) Since(ctx context.Context, id thor.StreamID, after uint64, limit int) ([]thor.Event, error) {
	version, events, err := s.query(ctx, id, `
		SELECT seq, key, final, ts, data FROM event
		WHERE stream = ? AND seq > ? AND ? + 1 >= (SELECT floor FROM stream WHERE id = event.stream)
		ORDER BY seq LIMIT ?`, after, after, limit)
	if err != nil {
		return nil, explain(err, s.dir)
	}
	if len(events) == 0 && after < version.Seq {
		return nil, thor.Errorf(thor.ENOTFOUND, "the events of %s behind %d are no longer kept", id, after)
	}
	return events, nil
}

// query reads the events of one stream, and its version, in one transaction.
func (s *Store) query(ctx context.Context, id thor.StreamID, query string, args ...any) (thor.Version, []thor.Event, error) {
	version := thor.Version{Epoch: s.epoch}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return version, nil, err
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	var stream int64
	var kind string
	err = tx.QueryRowContext(ctx, "SELECT id, type, head FROM stream WHERE name = ?", id).Scan(&stream, &kind, &version.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return version, nil, nil
	}
	if err != nil {
		return version, nil, err
	}
	rows, err := tx.QueryContext(ctx, query, append([]any{stream}, args...)...)
	if err != nil {
		return version, nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var events []thor.Event
	for rows.Next() {
		e := thor.Event{Stream: id, Type: kind, Version: thor.Version{Epoch: s.epoch}}
		var ts int64
		if err := rows.Scan(&e.Version.Seq, &e.Key, &e.Final, &ts, (*[]byte)(&e.Data)); err != nil {
			return version, nil, err
		}
		e.Time = time.UnixMilli(ts).UTC()
		events = append(events, e)
	}
	return version, events, rows.Err()
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, origin string) (kept string, err error) {
	err = s.write.QueryRowContext(ctx,
		"INSERT INTO meta (name, value) VALUES ('origin', ?) ON CONFLICT DO UPDATE SET value = value RETURNING value",
		origin).Scan(&kept)
	return kept, explain(err, s.dir)
}

// Secret implements [store.Store].
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // it does not fail
	var kept string
	err := s.write.QueryRowContext(ctx,
		"INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value RETURNING value",
		"secret:"+name, hex.EncodeToString(fresh)).Scan(&kept)
	if err != nil {
		return nil, explain(err, s.dir)
	}
	return hex.DecodeString(kept)
}

// Streams implements [store.Events].
func (s *Store) Streams(ctx context.Context) ([]thor.StreamID, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT name FROM stream ORDER BY name")
	if err != nil {
		return nil, explain(err, s.dir)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var ids []thor.StreamID
	for rows.Next() {
		var id thor.StreamID
		if err := rows.Scan(&id); err != nil {
			return nil, explain(err, s.dir)
		}
		ids = append(ids, id)
	}
	return ids, explain(rows.Err(), s.dir)
}

// Prune implements [store.Events]. It goes stream by stream, so that an append
// waits for one of them at most, and looks at nothing but what is to go. It also
// changes the token, so that a backup is known to be one soon after it was made.
func (s *Store) Prune(ctx context.Context, superseded, final time.Time) (removed int64, err error) {
	ids, err := s.Streams(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		err := s.transact(ctx, func(tx *sql.Tx) error {
			n, err := pruneStream(ctx, tx, id, superseded.UnixMilli(), final.UnixMilli())
			removed += n
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, `DELETE FROM event WHERE final = 1 AND ts < ?
			AND seq < (SELECT floor FROM stream WHERE id = event.stream)`, final.UnixMilli())
		removed += n
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, explain(rotateIdentity(ctx, s.write, filepath.Join(s.dir, fileName), s.epoch), s.dir)
}

// pruneStream moves the floor of a stream to its first event that is young
// enough, and removes what lies below it, is not final and not to be kept.
func pruneStream(ctx context.Context, tx *sql.Tx, id thor.StreamID, superseded, final int64) (removed int64, err error) {
	var stream, floor int64
	err = tx.QueryRowContext(ctx, `
		UPDATE stream SET floor = coalesce((
			SELECT seq FROM event WHERE stream = stream.id AND seq >= floor AND ts >= ? ORDER BY seq LIMIT 1), head + 1)
		WHERE name = ? RETURNING id, floor`, superseded, id).Scan(&stream, &floor)
	if err != nil {
		return 0, err
	}
	removed, err = exec(ctx, tx, `DELETE FROM event WHERE stream = ? AND final = 0 AND seq < ?
		AND seq <> (SELECT seq FROM latest l WHERE l.stream = event.stream AND l.key = event.key)`, stream, floor)
	if err != nil {
		return removed, err
	}
	// In a history a last word that never became final leaves with the others of
	// its age.
	n, err := exec(ctx, tx, `DELETE FROM event WHERE stream = ? AND final = 0 AND seq < ? AND ts < ?
		AND (SELECT history FROM stream WHERE id = event.stream)`, stream, floor, final)
	return removed + n, err
}

func exec(ctx context.Context, tx *sql.Tx, query string, args ...any) (affected int64, err error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
