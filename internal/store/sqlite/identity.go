package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// A client resumes by epoch and seq, so a database that has been restored or
// copied must not go on with the epoch it finds: it would give numbers twice.
//
// It is noticed by a token that is kept in two places, the database and a file
// beside it, and changed at every start, every stop and every minute between. A
// database of another time does not have the file's token. A copy of both has;
// so the database also keeps the file's seal, which a copy does not have: the
// time at which the file system last changed the file, which nobody can set.

const identityName = "thor.id"

// identity is what the database knows of itself.
type identity struct {
	epoch, token string
	// previous is the token in the file while the token is being changed, "" at
	// any other time.
	previous string
	seal     string // of the file
}

// settleEpoch returns the epoch to go on with and changes the token.
func settleEpoch(ctx context.Context, db *sql.DB, path string) (string, error) {
	id, err := readIdentity(ctx, db)
	if err != nil {
		return "", err
	}
	inFile, err := readToken(path)
	if err != nil {
		return "", err
	}
	if !id.knows(inFile, seal(tokenPath(path))) {
		id.epoch = strings.ToLower(rand.Text()[:8])
	}
	return id.epoch, rotateIdentity(ctx, db, path, id.epoch)
}

// knows reports whether the file beside the database is the one it was last
// used with. A crash while the token was being changed is recognised by either
// token.
func (id identity) knows(token, seal string) bool {
	switch {
	case token == "":
		return false
	case id.previous == "":
		return token == id.token && seal == id.seal
	}
	return token == id.token || token == id.previous && seal == id.seal
}

// rotateIdentity writes a new token to both places.
func rotateIdentity(ctx context.Context, db *sql.DB, path, epoch string) error {
	inFile, err := readToken(path)
	if err != nil {
		return err
	}
	token := rand.Text()
	_, err = db.ExecContext(ctx, "INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', ?), ('token', ?), ('previous', ?)",
		epoch, token, inFile)
	if err != nil {
		return err
	}
	if err := writeToken(path, token); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT OR REPLACE INTO meta (name, value) VALUES ('previous', ''), ('seal', ?)",
		seal(tokenPath(path)))
	return err
}

func readIdentity(ctx context.Context, db *sql.DB) (id identity, err error) {
	err = db.QueryRowContext(ctx, `SELECT
		coalesce((SELECT value FROM meta WHERE name = 'epoch'), ''),
		coalesce((SELECT value FROM meta WHERE name = 'token'), ''),
		coalesce((SELECT value FROM meta WHERE name = 'previous'), ''),
		coalesce((SELECT value FROM meta WHERE name = 'seal'), '')`).
		Scan(&id.epoch, &id.token, &id.previous, &id.seal)
	return id, err
}

func tokenPath(path string) string { return filepath.Join(filepath.Dir(path), identityName) }

// readToken returns the token in the file beside the database, "" when there is
// none.
func readToken(path string) (string, error) {
	data, err := os.ReadFile(tokenPath(path))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

func writeToken(path, token string) error {
	name := tokenPath(path)
	temp, err := os.CreateTemp(filepath.Dir(name), identityName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is gone after the rename
	_, err = temp.WriteString(token + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}
