package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"thor"
)

// Stages implements [store.Stages].
func (s *Store) Stages(ctx context.Context) ([]thor.FeatureStage, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT feature, stage, rev, weight, reason, since FROM stage ORDER BY feature")
	if err != nil {
		return nil, explain(err, s.dir)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var stages []thor.FeatureStage
	for rows.Next() {
		var f thor.FeatureStage
		var stage string
		var since int64
		if err := rows.Scan(&f.Feature, &stage, &f.Rev, &f.Weight, &f.Reason, &since); err != nil {
			return nil, explain(err, s.dir)
		}
		if f.Stage, err = thor.ParseStage(stage); err != nil {
			return nil, err
		}
		f.Since = time.UnixMilli(since).UTC()
		stages = append(stages, f)
	}
	return stages, explain(rows.Err(), s.dir)
}

// Transition implements [store.Stages].
func (s *Store) Transition(ctx context.Context, t thor.Transition, event thor.Event) (thor.Transition, thor.Event, error) {
	t.At = t.At.UTC().Truncate(time.Millisecond)
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := compareAndSet(ctx, tx, t); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			INSERT INTO audit (at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.At.UnixMilli(), t.Feature, t.Action, t.From.String(), t.To.String(), t.Rev, t.Weight, t.Actor, t.Reason, t.Gate, t.Build)
		if err != nil {
			return err
		}
		if t.ID, err = result.LastInsertId(); err != nil {
			return err
		}
		events, err := s.appendIn(ctx, tx, t.At, []thor.Event{event})
		if err == nil {
			event = events[0]
		}
		return err
	})
	return t, event, err
}

// compareAndSet writes the feature's new stage if its revision is the one the
// transition was decided on.
func compareAndSet(ctx context.Context, tx *sql.Tx, t thor.Transition) error {
	var rev uint64
	err := tx.QueryRowContext(ctx, "SELECT rev FROM stage WHERE feature = ?", t.Feature).Scan(&rev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if t.Rev != rev+1 {
		return thor.Errorf(thor.ESTALE, "%s is at revision %d, not %d", t.Feature, rev, t.Rev-1)
	}
	_, err = tx.ExecContext(ctx, `
		INSERT OR REPLACE INTO stage (feature, stage, rev, weight, reason, since) VALUES (?, ?, ?, ?, ?, ?)`,
		t.Feature, t.To.String(), t.Rev, t.Weight, t.Reason, t.At.UnixMilli())
	return err
}

// History implements [store.Stages].
func (s *Store) History(ctx context.Context, feature string, limit int) ([]thor.Transition, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT id, at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build
		FROM audit WHERE ?1 = '' OR feature = ?1 ORDER BY id DESC LIMIT ?2`, feature, limit)
	if err != nil {
		return nil, explain(err, s.dir)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var history []thor.Transition
	for rows.Next() {
		var t thor.Transition
		var at int64
		var from, to string
		err := rows.Scan(&t.ID, &at, &t.Feature, &t.Action, &from, &to, &t.Rev, &t.Weight, &t.Actor, &t.Reason, &t.Gate, &t.Build)
		if err != nil {
			return nil, explain(err, s.dir)
		}
		t.At = time.UnixMilli(at).UTC()
		var fromErr, toErr error
		t.From, fromErr = thor.ParseStage(from)
		t.To, toErr = thor.ParseStage(to)
		if err := errors.Join(fromErr, toErr); err != nil {
			return nil, err
		}
		history = append(history, t)
	}
	return history, explain(rows.Err(), s.dir)
}
