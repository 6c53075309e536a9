package auth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"

	"thor"
)

// MinKey is the length a shared key must have at least, in bytes.
const MinKey = 32

// PEM types of the key files, as openssl writes them.
const (
	pemPublic  = "PUBLIC KEY"
	pemPrivate = "PRIVATE KEY"
)

// ReadKey reads a shared key from a file; white space around it does not count.
func ReadKey(path string) ([]byte, error) {
	data, err := readKeyFile(path)
	return bytes.TrimSpace(data), err
}

// minRSA is the length an RSA key must have at least, in bits.
const minRSA = 2048

// ReadPublicKey reads the key that checks tokens of others: an
// [ed25519.PublicKey] or an [*rsa.PublicKey].
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	der, err := readPEM(path, pemPublic)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "%s has no public key that can be read", path)
	}
	switch key := parsed.(type) {
	case ed25519.PublicKey:
		return key, nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, thor.Errorf(thor.EINVALID, "the RSA key in %s has %d bits, it needs at least %d", path, bits, minRSA)
		}
		return key, nil
	}
	return nil, thor.Errorf(thor.EINVALID, "the key in %s is neither Ed25519 nor RSA; `thor token key` makes a pair", path)
}

// CheckKey refuses a shared key that is too short to be one, or that everybody
// may know.
func CheckKey(key []byte) error {
	switch {
	case bytes.HasPrefix(key, []byte("-----BEGIN")):
		return thor.Errorf(thor.EINVALID, "the key is a PEM file, and who knows it makes tokens; a public key belongs in --auth-public-key")
	case len(key) < MinKey:
		return thor.Errorf(thor.EINVALID, "the key has %d characters, it needs at least %d; `openssl rand -hex 32` makes one", len(key), MinKey)
	}
	return nil
}

// ReadPrivateKey reads the key that makes tokens signed with EdDSA.
func ReadPrivateKey(path string) (ed25519.PrivateKey, error) {
	der, err := readPEM(path, pemPrivate)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "%s has no private key that can be read", path)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, thor.Errorf(thor.EINVALID, "the key in %s is not Ed25519; `thor token key` makes a pair", path)
	}
	return key, nil
}

// PublicKey is the other half of a private key.
func PublicKey(private ed25519.PrivateKey) (ed25519.PublicKey, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return nil, thor.Errorf(thor.EINVALID, "the private key is of %d bytes", len(private))
	}
	return public, nil
}

// NewKeyPair makes a key pair and writes it, as openssl would, to two files that
// must not exist. Only this user can read the private one.
func NewKeyPair(private, public string) error {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return err
	}
	if err := writeNew(private, pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: privateDER}), 0o600); err != nil {
		return err
	}
	return writeNew(public, pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: publicDER}), 0o644)
}

func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the path is the operator's
	if os.IsExist(err) {
		return thor.Errorf(thor.ECONFLICT, "%s exists already", path).WithHint("A key that is in use must not be lost: name another file.")
	}
	if err != nil {
		return thor.Errorf(thor.EUNAVAILABLE, "the key cannot be written: %w", err)
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func readPEM(path, want string) ([]byte, error) {
	data, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return nil, thor.Errorf(thor.EINVALID, "%s is not a PEM file", path)
	case block.Type != want:
		return nil, thor.Errorf(thor.EINVALID, "%s has a %s, it needs a %s", path, block.Type, want)
	}
	return block.Bytes, nil
}

func readKeyFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "the file cannot be read: %w", err)
	}
	return data, nil
}
