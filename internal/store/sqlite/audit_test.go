package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"thor"
)

// older makes a database as the schema of that version left it.
func older(t *testing.T, path string, version int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := inTurn(t.Context(), tx, migrations[:version]...); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	sqlExec(t, path, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, applicationID))
}

// TestAnAuditWithoutAChainGetsOne opens a database that was used before entries
// were chained.
func TestAnAuditWithoutAChainGetsOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	older(t, path, 2)
	sqlExec(t, path, `
		INSERT INTO stage VALUES ('positions', 'shadow', 3, 0, 'back', 1795447802000);
		INSERT INTO audit (at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build) VALUES
			(1795447800000, 'positions', 'initial', 'off', 'shadow', 1, 0, 'thor', 'the default', 'no gate ran', 'b'),
			(1795447801000, 'positions', 'promote', 'shadow', 'canary', 2, 50, 'ada', '', 'no gate ran', 'b'),
			(1795447802000, 'positions', 'rollback', 'canary', 'shadow', 3, 0, 'ada', 'back', 'no gate ran', 'b')`)
	if _, err := ReadAudit(t.Context(), dir); thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(err.Error(), "thor serve --data") {
		t.Errorf("before: %v, want what to do", err)
	}
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	a, err := s.Audit(t.Context())
	if err != nil || len(a.Entries) != 3 || a.Head.Count != 3 || len(a.Verify()) != 0 {
		t.Errorf("audit %+v with the faults %v, %v", a, a.Verify(), err)
	}
	if a.Entries[1].Actor != "ada" || a.Entries[1].To != thor.StageCanary || a.Entries[1].Previous != a.Entries[0].Hash {
		t.Errorf("entry %+v", a.Entries[1])
	}
}

// TestTheAuditIsOnlyAddedTo tries what somebody with the file can try, and then
// what they can do when they take the triggers away.
func TestTheAuditIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	s := mustOpen(t, dir)
	step := func(rev uint64, to thor.Stage) {
		t.Helper()
		_, _, err := s.Transition(t.Context(),
			thor.Transition{At: when, Feature: "positions", Action: thor.ActionPromote, To: to, Rev: rev, Actor: "ada"},
			thor.Event{Stream: thor.CutoverStream, Type: "cutover", Key: "positions", Data: []byte(`{}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for rev := range uint64(4) {
		step(rev+1, thor.StageShadow)
	}
	for _, query := range []string{
		"UPDATE audit SET actor = 'eve'",
		"DELETE FROM audit WHERE id = 2",
		"INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 2",
		"REPLACE INTO audit (id, at, feature, action, from_stage, to_stage, rev, weight, actor, reason, gate, build) VALUES (2, 0, '', '', '', '', 0, 0, '', '', '', '')",
	} {
		if _, err := s.write.ExecContext(t.Context(), query); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", query, err)
		}
	}
	if a, err := s.Audit(t.Context()); err != nil || len(a.Verify()) != 0 {
		t.Errorf("after that: %v, %v", a.Verify(), err)
	}
	sqlExec(t, path, "DROP TRIGGER audit_delete; DELETE FROM audit WHERE id = 4")
	step(5, thor.StageShadow)
	if a, err := s.Audit(t.Context()); err != nil || !strings.Contains(fmt.Sprint(a.Verify()), "entry 5: it follows entry 3") {
		t.Errorf("a tail that was cut off and added to: %v, %v", a.Verify(), err)
	}
	sqlExec(t, path, "DROP TRIGGER audit_update; DELETE FROM audit WHERE id > 2; UPDATE audit SET to_stage = 'nonsense' WHERE id = 1; DELETE FROM audit_head")
	step(6, thor.StageOff) // works all the same
	a, err := ReadAudit(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprint(a.Verify())
	for _, want := range []string{"entry 1: it was changed", "entry 3: it was not written behind entry 2", "makes revision 6"} {
		if !strings.Contains(said, want) {
			t.Errorf("faults %s, want one that says %q", said, want)
		}
	}
	if history, err := s.History(t.Context(), "positions", 10); err != nil || len(history) != 3 || history[2].To.String() != "unknown" {
		t.Errorf("history %+v, %v", history, err)
	}
	mustClose(t, s)
	if _, err := ReadAudit(t.Context(), t.TempDir()); thor.ErrorCode(err) != thor.ENOTFOUND || !strings.Contains(err.Error(), "--data") {
		t.Errorf("without a store: %v", err)
	}
}
