package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A client resumes by epoch and seq, so a database that has been restored or
// copied must not go on with the epoch it finds: it would give numbers twice.
// That is noticed by an identity kept in two places, the database and a file
// beside it, and changed at every start and stop. A database that comes from
// elsewhere, or from another time, does not match the file, or is another file
// on disk than the one it was written in.

const identityName = "thor.id"

// identity is the content of the file.
type identity struct {
	Token    string `json:"token"`
	Previous string `json:"previous,omitempty"` // while the token is being changed
	File     string `json:"file"`               // which file on disk the database is
}

// settleEpoch returns the epoch to go on with and changes the identity.
func settleEpoch(ctx context.Context, db *sql.DB, path string) (string, error) {
	epoch, token, err := readIdentity(ctx, db)
	if err != nil {
		return "", err
	}
	id, err := readIdentityFile(path)
	if err != nil {
		return "", err
	}
	known := token != "" && (token == id.Token || token == id.Previous) && id.File == fileID(path)
	if !known {
		epoch = newEpoch()
	}
	return epoch, rotateIdentity(ctx, db, path, epoch)
}

// rotateIdentity writes a new token to both places. A crash on the way leaves
// the file naming both tokens, so either is recognised.
func rotateIdentity(ctx context.Context, db *sql.DB, path, epoch string) error {
	_, token, err := readIdentity(ctx, db)
	if err != nil {
		return err
	}
	id := identity{Token: rand.Text(), Previous: token, File: fileID(path)}
	if err := writeIdentityFile(path, id); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx,
		"INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', ?), ('token', ?)", epoch, id.Token)
	if err != nil {
		return err
	}
	id.Previous = ""
	return writeIdentityFile(path, id)
}

func newEpoch() string { return strings.ToLower(rand.Text()[:8]) }

func readIdentity(ctx context.Context, db *sql.DB) (epoch, token string, err error) {
	err = db.QueryRowContext(ctx, `SELECT
		coalesce((SELECT value FROM meta WHERE name = 'epoch'), ''),
		coalesce((SELECT value FROM meta WHERE name = 'token'), '')`).Scan(&epoch, &token)
	return epoch, token, err
}

func readIdentityFile(path string) (identity, error) {
	var id identity
	data, err := os.ReadFile(filepath.Join(filepath.Dir(path), identityName))
	if errors.Is(err, os.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	if json.Unmarshal(data, &id) != nil {
		return identity{}, nil // a damaged file matches nothing: a new epoch is the safe side
	}
	return id, nil
}

func writeIdentityFile(path string, id identity) error {
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	name := filepath.Join(filepath.Dir(path), identityName)
	temp, err := os.CreateTemp(filepath.Dir(path), identityName+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is gone after the rename
	_, err = temp.Write(append(data, '\n'))
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return os.Rename(temp.Name(), name)
}
