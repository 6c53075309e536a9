package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/store"
	"thor/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLaws(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		dir := t.TempDir()
		return func(t *testing.T) store.Store { return mustOpen(t, dir) }
	})
}

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustClose(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

var when = time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)

func events(n int) []thor.Event {
	list := make([]thor.Event, n)
	for i := range list {
		list[i] = thor.Event{
			Stream: "positions:A", Type: "positions", Key: "A",
			Data: json.RawMessage(fmt.Sprintf(`{"n":%d,"timestamp":"2026-11-23T15:30:00Z"}`, i)),
		}
	}
	return list
}

// filled makes a data directory with a few events and returns its epoch.
func filled(t *testing.T, dir string) (epoch string) {
	t.Helper()
	s := mustOpen(t, dir)
	stored, err := s.Append(t.Context(), when, events(3))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	return stored[0].Version.Epoch
}

func epochOf(t *testing.T, dir string) string {
	t.Helper()
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	version, _, err := s.Latest(t.Context(), "positions:A", thor.Window{})
	if err != nil {
		t.Fatal(err)
	}
	return version.Epoch
}

func TestEpoch(t *testing.T) {
	t.Parallel()
	database := func(dir string) string { return filepath.Join(dir, fileName) }
	copyFile := func(t *testing.T, from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a restart keeps it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		epoch := filled(t, dir)
		if got := epochOf(t, dir); got != epoch {
			t.Errorf("epoch %q, want %q", got, epoch)
		}
	})
	t.Run("a kill keeps it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		epoch := filled(t, dir)
		s := mustOpen(t, dir)
		if err := s.release(); err != nil { // as the system does for a killed process: no farewell
			t.Fatal(err)
		}
		if got := epochOf(t, dir); got != epoch {
			t.Errorf("epoch %q, want %q", got, epoch)
		}
	})
	t.Run("a new store has another one", func(t *testing.T) {
		t.Parallel()
		if a, b := filled(t, t.TempDir()), filled(t, t.TempDir()); a == b {
			t.Errorf("two stores with the epoch %q", a)
		}
	})
	t.Run("a copied directory gets a new one", func(t *testing.T) {
		t.Parallel()
		dir, copied := t.TempDir(), t.TempDir()
		epoch := filled(t, dir)
		copyFile(t, database(dir), database(copied))
		copyFile(t, filepath.Join(dir, identityName), filepath.Join(copied, identityName))
		if got := epochOf(t, copied); got == epoch {
			t.Errorf("the copy goes on with epoch %q", got)
		}
		if got := epochOf(t, dir); got != epoch {
			t.Errorf("the original has epoch %q, want %q", got, epoch)
		}
	})
	t.Run("a backup restored into the same file gets a new one", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		backup := filepath.Join(t.TempDir(), "backup.db")
		epoch := filled(t, dir)
		copyFile(t, database(dir), backup)
		if got := epochOf(t, dir); got != epoch {
			t.Fatalf("epoch %q, want %q", got, epoch)
		}
		data, err := os.ReadFile(backup)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(database(dir), os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := epochOf(t, dir); got == epoch {
			t.Errorf("the restored store goes on with epoch %q", got)
		}
	})
	t.Run("a directory put back from its copy gets a new one", func(t *testing.T) {
		t.Parallel()
		for name, killed := range map[string]bool{"of a stopped server": false, "of a killed server": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir, backup := t.TempDir(), t.TempDir()
				epoch := filled(t, dir)
				if killed {
					if err := mustOpen(t, dir).release(); err != nil {
						t.Fatal(err)
					}
				}
				names := []string{fileName, identityName}
				for _, name := range names {
					copyFile(t, filepath.Join(dir, name), filepath.Join(backup, name))
				}
				for _, name := range names { // in place: the files are the same to the file system
					copyFile(t, filepath.Join(backup, name), filepath.Join(dir, name))
				}
				if got := epochOf(t, dir); got == epoch {
					t.Errorf("the restored store goes on with epoch %q", got)
				}
			})
		}
	})
	t.Run("a backup made while it ran is known for one after the next pruning", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		backup := filepath.Join(t.TempDir(), "backup.db")
		epoch := filled(t, dir)
		s := mustOpen(t, dir)
		if _, err := s.write.ExecContext(t.Context(), "VACUUM INTO ?", backup); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Prune(t.Context(), when, when); err != nil {
			t.Fatal(err)
		}
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
		copyFile(t, backup, database(dir))
		if got := epochOf(t, dir); got == epoch {
			t.Errorf("the restored store goes on with epoch %q", got)
		}
	})
	t.Run("a crash while the token changes keeps it", func(t *testing.T) {
		t.Parallel()
		ctx := t.Context()
		for name, crash := range map[string]func(s *Store, path string) error{
			"before the file": func(s *Store, path string) error {
				inFile, err := readToken(path)
				if err != nil {
					return err
				}
				_, err = s.write.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES ('token', 'next'), ('previous', ?)", inFile)
				return err
			},
			"behind the file": func(s *Store, path string) error {
				inFile, err := readToken(path)
				if err != nil {
					return err
				}
				_, err = s.write.ExecContext(ctx, "INSERT OR REPLACE INTO meta VALUES ('token', 'next'), ('previous', ?)", inFile)
				return errors.Join(err, writeToken(path, "next"))
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				epoch := filled(t, dir)
				s := mustOpen(t, dir)
				if err := errors.Join(crash(s, database(dir)), s.release()); err != nil {
					t.Fatal(err)
				}
				for range 2 { // and once more, after it was settled
					if got := epochOf(t, dir); got != epoch {
						t.Errorf("epoch %q, want %q", got, epoch)
					}
				}
			})
		}
	})
	t.Run("a lost identity file means a new one", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		epoch := filled(t, dir)
		if err := os.Remove(filepath.Join(dir, identityName)); err != nil {
			t.Fatal(err)
		}
		if got := epochOf(t, dir); got == epoch {
			t.Errorf("the store goes on with epoch %q", got)
		}
	})
}

// TestRefusal opens data directories that must be refused, and checks that each
// refusal leaves the database as it was.
func TestRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  string // in the error
	}{
		{"a file that is no database", func(t *testing.T, path string) {
			t.Helper()
			write(t, path, []byte(strings.Repeat("this is not a database\n", 500)))
		}, "is damaged"},
		{"a damaged database", func(t *testing.T, path string) {
			t.Helper()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096; i < len(data); i++ { // every page but the first
				data[i] ^= 0x5a
			}
			write(t, path, data)
		}, "is damaged"},
		{"a truncated database", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		}, "is damaged"},
		{"a newer schema", func(t *testing.T, path string) {
			t.Helper()
			sqlExec(t, path, "PRAGMA user_version = 99")
		}, "was written by a newer thor (schema 99, this build knows 3)"},
		{"another program's database", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			sqlExec(t, path, "CREATE TABLE invoices (id INTEGER)")
		}, "is a database of another program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			filled(t, dir)
			path := filepath.Join(dir, fileName)
			tt.spoil(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), dir)
			if err == nil {
				mustClose(t, s)
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Nothing was changed.") {
				t.Errorf("error %q, want %q and that nothing was changed", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(before) != string(after) {
				t.Error("the file was changed")
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func sqlExec(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// TestCommitsAreOnTheDisk holds the settings that a published number relies on.
func TestCommitsAreOnTheDisk(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	var synchronous int
	var journal string
	err := errors.Join(
		s.write.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&synchronous),
		s.write.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&journal))
	if err != nil || synchronous != 2 || journal != "wal" {
		t.Errorf("synchronous %d, journal %s, %v; want 2, which is full, and wal", synchronous, journal, err)
	}
}

// TestEarlierSchema opens a database as the first schema left it.
func TestEarlierSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	older(t, path, 1)
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	if _, err := s.Append(t.Context(), when, events(1)); err != nil {
		t.Error(err)
	}
	var version int
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&version); err != nil || version != len(migrations) {
		t.Errorf("schema %d, %v; want %d", version, err, len(migrations))
	}
}

// TestReadersAreBounded holds that a storm of requests does not use up the
// process's files.
func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	if _, err := s.Append(t.Context(), when, events(200)); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for range 200 {
		group.Go(func() error {
			_, err := s.Since(t.Context(), "positions:A", 0, 200)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if open := s.read.Stats(); open.OpenConnections > readers || open.MaxOpenConnections != readers {
		t.Errorf("%d connections are open, at most %d may be", open.OpenConnections, readers)
	}
}

func TestSecondProcessIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer mustClose(t, s)
	_, err := Open(t.Context(), dir)
	want := fmt.Sprintf("the process %d is using the data directory %s", os.Getpid(), dir)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error %v, want %q", err, want)
	}
	if _, err := s.Append(t.Context(), when, events(1)); err != nil {
		t.Errorf("the first one stopped working: %v", err)
	}
}

func TestFullDatabaseIsAClearErrorAndGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	limit := func(pages int) {
		t.Helper()
		if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // it cannot be smaller than the file: no page more
	_, err := s.Append(t.Context(), when, events(500))
	if thor.ErrorCode(err) != thor.EUNAVAILABLE || !strings.Contains(err.Error(), "is full") {
		t.Fatalf("error %v, want that the disk is full", err)
	}
	limit(1 << 20)
	stored, err := s.Append(t.Context(), when, events(1))
	if err != nil {
		t.Fatal(err)
	}
	if stored[0].Version.Seq != 1 {
		t.Errorf("seq %d after the failure, want 1: the failed append left nothing", stored[0].Version.Seq)
	}
}

func TestAppendHonoursItsContext(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, t.TempDir())
	defer mustClose(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, when, events(1)); err == nil {
		t.Error("a cancelled append succeeded")
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 14, 500} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			s, err := Open(b.Context(), b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // a benchmark
			batch := events(n)
			for b.Loop() {
				if _, err := s.Append(b.Context(), when, batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
