// Package sqlite keeps the store in one SQLite file in the data directory.
//
// Every commit is synchronous=FULL: what Append has returned survives a loss of
// power. One connection writes, a few read. A lock file keeps a second process
// out. A file that is corrupt, newer or somebody else's is refused and left as
// it is.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite" // also registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"thor"
	"thor/internal/store"
)

const (
	fileName = "thor.db"
	lockName = "thor.lock"
	pidName  = "thor.pid" // of who has the lock; a locked file cannot be written on every system
)

// readers is how many connections read at the same time; more wait.
const readers = 8

var _ store.Store = (*Store)(nil)

// Store is a store in a directory. Make one with [Open].
type Store struct {
	dir   string
	epoch string
	lock  *flock.Flock
	write *sql.DB // one connection, so writers take turns
	read  *sql.DB

	// Prepared on the writing connection, for they run for every event.
	insertEvent, pointLatest *sql.Stmt

	closing  sync.Once
	closeErr error
}

// Open opens the store in dir and makes both if there are none.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, thor.Errorf(thor.EUNAVAILABLE, "the data directory %s cannot be made: %w", dir, err).
			WithHint("--data chooses another one.")
	}
	lock, err := acquire(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(explain(err, dir), s.release())
	}
	return s, nil
}

// acquire takes the lock file, and names the process that has it.
func acquire(dir string) (*flock.Flock, error) {
	path, pidPath := filepath.Join(dir, lockName), filepath.Join(dir, pidName)
	lock := flock.New(path, flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, explain(fmt.Errorf("lock %s: %w", path, err), dir)
	}
	if !held {
		who := "another process"
		if pid, err := os.ReadFile(pidPath); err == nil && len(pid) > 0 { //nolint:gosec // our own file
			who = "the process " + strings.TrimSpace(string(pid))
		}
		return nil, thor.Errorf(thor.ECONFLICT, "%s is using the data directory %s", who, dir).
			WithHint("Stop it, or choose another directory with --data.")
	}
	if err := os.WriteFile(pidPath, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(explain(err, dir), lock.Unlock())
	}
	return lock, nil
}

func (s *Store) open(ctx context.Context) error {
	path := filepath.Join(s.dir, fileName)
	if err := inspect(ctx, path); err != nil {
		return err
	}
	if err := create(path); err != nil {
		return err
	}
	var err error
	if s.write, err = connect(path, readWrite); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write, path); err != nil {
		return err
	}
	if s.read, err = connect(path, queryOnly); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if s.epoch, err = settleEpoch(ctx, s.write, path); err != nil {
		return err
	}
	return s.prepare(ctx)
}

func (s *Store) prepare(ctx context.Context) (err error) {
	s.insertEvent, err = s.write.PrepareContext(ctx,
		"INSERT INTO event (stream, seq, key, final, ts, data) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	s.pointLatest, err = s.write.PrepareContext(ctx,
		"INSERT INTO latest (stream, key, seq) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq")
	return err
}

// inspect looks at an existing database without changing it: is it ours, whole,
// not newer than this build, and can it be written?
func inspect(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := writable(path); err != nil {
		return err
	}
	db, err := connect(path, readOnly)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it only read
	if err := recognise(ctx, db, path); err != nil {
		return err
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damaged(path, errors.New(strings.Join(strings.Fields(verdict), " "))) // it has several lines
	}
	return nil
}

// create makes an empty file that only this user can read; what SQLite puts
// beside it has the same rights.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return f.Close()
}

// writable finds out before SQLite does, which would open the file for reading
// only and fail later.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the path is the operator's
	if err != nil {
		return err
	}
	return f.Close()
}

// How a connection is opened.
const (
	readWrite = "&_txlock=immediate&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	queryOnly = "&_pragma=query_only(on)"
	readOnly  = "&mode=ro" // closing it leaves the file as it is
)

func connect(path, how string) (*sql.DB, error) {
	file := (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
	return sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(on)"+how)
}

// Close checkpoints and closes the file and gives up the lock.
func (s *Store) Close() error {
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) //nolint:forbidigo // closing has no caller's context
		defer cancel()
		path := filepath.Join(s.dir, fileName)
		err := rotateIdentity(ctx, s.write, path, s.epoch)
		s.closeErr = explain(errors.Join(err, s.release()), s.dir)
		outliveSeal(tokenPath(path))
	})
	return s.closeErr
}

func (s *Store) release() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.Unlock())...)
}

// explain turns a failure of the disk or the file into words for the operator.
func explain(err error, dir string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*thor.Error](err); ok {
		return err
	}
	code := 0
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		code = e.Code() & 0xff // the primary code
	}
	switch {
	case code == sqlite3.SQLITE_FULL || isFull(err):
		return thor.Errorf(thor.EUNAVAILABLE, "the disk of %s is full: %w", dir, err).
			WithHint("Free some space: what was stored is safe, and a running server goes on by itself. --data chooses another directory.")
	case code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB:
		return damaged(filepath.Join(dir, fileName), err)
	case code == sqlite3.SQLITE_READONLY || errors.Is(err, os.ErrPermission) || isReadOnly(err):
		return thor.Errorf(thor.EUNAVAILABLE, "the data directory %s cannot be written: %w", dir, err).
			WithHint("Give this user the right to write there, or choose another directory with --data.")
	case code == sqlite3.SQLITE_CANTOPEN || code == sqlite3.SQLITE_IOERR:
		return thor.Errorf(thor.EUNAVAILABLE, "the data directory %s does not work: %w", dir, err).
			WithHint("Look at the disk; --data chooses another directory.")
	}
	return fmt.Errorf("store: %w", err)
}

func damaged(path string, err error) error {
	return thor.Errorf(thor.EUNAVAILABLE, "the database %s is damaged: %w", path, err).
		WithHint("Nothing was changed. Restore a backup, or start with an empty directory: --data DIR.")
}
