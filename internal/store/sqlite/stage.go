package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"thor"
)

const stageColumns = "feature, stage, rev, weight, reason, since, frozen_by, frozen_reason, frozen_since"

// Stages implements [store.Stages].
func (s *Store) Stages(ctx context.Context) ([]thor.FeatureStage, error) {
	stages, err := readStages(ctx, s.read)
	return stages, explain(err, s.dir)
}

func readStages(ctx context.Context, q queryer) ([]thor.FeatureStage, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+stageColumns+" FROM stage ORDER BY feature")
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var stages []thor.FeatureStage
	for rows.Next() {
		f, err := scanStage(rows.Scan)
		if err != nil {
			return nil, err
		}
		stages = append(stages, f)
	}
	return stages, rows.Err()
}

// scanStage reads a row of stageColumns.
func scanStage(scan func(...any) error) (f thor.FeatureStage, err error) {
	var stage string
	var since, frozen int64
	if err := scan(&f.Feature, &stage, &f.Rev, &f.Weight, &f.Reason, &since, &f.Freeze.By, &f.Freeze.Reason, &frozen); err != nil {
		return f, err
	}
	f.Since = time.UnixMilli(since).UTC()
	if frozen != 0 {
		f.Freeze.Since = time.UnixMilli(frozen).UTC()
	}
	f.Stage, err = thor.ParseStage(stage)
	return f, err
}

// Transition implements [store.Stages].
func (s *Store) Transition(ctx context.Context, t thor.Transition, event thor.Event) (thor.Transition, thor.Event, error) {
	t.At = t.At.UTC().Truncate(time.Millisecond)
	if event.Time.IsZero() {
		event.Time = t.At
	}
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if err := compareAndSet(ctx, tx, t); err != nil {
			return err
		}
		var err error
		if t, err = chained(ctx, tx, t); err != nil {
			return err
		}
		events, err := s.appendIn(ctx, tx, event.Time, []thor.Event{event})
		if err == nil {
			event = events[0]
		}
		return err
	})
	return t, event, err
}

// compareAndSet writes where the feature stands after the transition, if its
// revision is the one the transition was decided on.
func compareAndSet(ctx context.Context, tx *sql.Tx, t thor.Transition) error {
	now, err := scanStage(tx.QueryRowContext(ctx, "SELECT "+stageColumns+" FROM stage WHERE feature = ?", t.Feature).Scan)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if t.Rev != now.Rev+1 {
		return thor.Errorf(thor.ESTALE, "%s is at revision %d, not %d", t.Feature, now.Rev, t.Rev-1)
	}
	now = now.After(t)
	var frozen int64
	if now.Frozen() {
		frozen = now.Freeze.Since.UnixMilli()
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO stage ("+stageColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		now.Feature, now.Stage.String(), now.Rev, now.Weight, now.Reason, now.Since.UnixMilli(),
		now.Freeze.By, now.Freeze.Reason, frozen)
	return err
}

// History implements [store.Stages].
func (s *Store) History(ctx context.Context, feature string, limit int) ([]thor.Transition, error) {
	history, err := readAudit(ctx, s.read, "WHERE ?1 = '' OR feature = ?1 ORDER BY id DESC LIMIT ?2", feature, limit)
	return history, explain(err, s.dir)
}
