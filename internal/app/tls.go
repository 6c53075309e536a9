package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"thor"
)

// certificateEvery is how often the files of the certificate are looked at, while
// clients come.
const certificateEvery = time.Second

// certificate is the server's, and is read again when its files change.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	read    []byte // the files as they were read last, good or not
	looked  time.Time
}

// openCertificate reads a certificate that must be good.
func openCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger, looked: time.Now()}
	var err error
	c.current, c.read, err = readCertificate(certFile, keyFile)
	return c, err
}

// get returns the certificate for a handshake. New files that are not good, for
// instance while only one of the two is new, leave the old one in its place.
func (c *certificate) get() *tls.Certificate {
	if !c.due(time.Now()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.current
	}
	fresh, read, err := readCertificate(c.certFile, c.keyFile)
	c.mu.Lock()
	changed := !bytes.Equal(read, c.read)
	c.read = read
	if changed && err == nil {
		c.current = fresh
	}
	current := c.current
	c.mu.Unlock()
	switch {
	case changed && err != nil:
		c.logger.Warn("new certificate not taken, the old one stays", slog.Any("error", err))
	case changed:
		c.logger.Info("certificate read again", slog.String("file", c.certFile), slog.Time("expires", fresh.Leaf.NotAfter))
	}
	return current
}

// due is true for one caller each time the files are to be looked at.
func (c *certificate) due(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.looked) < certificateEvery {
		return false
	}
	c.looked = now
	return true
}

// readCertificate reads the two files, and returns both as they are even when
// they are no good.
func readCertificate(certFile, keyFile string) (*tls.Certificate, []byte, error) {
	var errs []error
	cert, err := os.ReadFile(certFile) //nolint:gosec // the path is the operator's
	if err != nil {
		errs = append(errs, settingFault("tls-cert", "the file cannot be read: %v", err))
	} else if !hasPEM(cert, "CERTIFICATE") {
		errs = append(errs, settingFault("tls-cert", "%s has no certificate in PEM", certFile))
	}
	key, err := os.ReadFile(keyFile) //nolint:gosec // the path is the operator's
	if err != nil {
		errs = append(errs, settingFault("tls-key", "the file cannot be read: %v", err))
	} else if !hasPEM(key, "PRIVATE KEY") {
		errs = append(errs, settingFault("tls-key", "%s has no private key in PEM", keyFile))
	}
	read := append(append(bytes.Clone(cert), 0), key...)
	if len(errs) > 0 {
		return nil, read, errors.Join(errs...)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil {
		return &pair, read, nil
	}
	if _, parsed := x509.ParseCertificate(firstPEM(cert, "CERTIFICATE")); parsed != nil {
		return nil, read, settingFault("tls-cert", "%s has a certificate that cannot be read: %v", certFile, parsed)
	}
	return nil, read, settingFault("tls-key", "the key in %s does not belong to the certificate in %s", keyFile, certFile)
}

// firstPEM is the first block whose type ends like this; keys have several.
func firstPEM(data []byte, kind string) []byte {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil
		}
		if bytes.HasSuffix([]byte(block.Type), []byte(kind)) {
			return block.Bytes
		}
	}
}

func hasPEM(data []byte, kind string) bool { return firstPEM(data, kind) != nil }

// settingFault is a fault of a setting: see [Config.Validate].
func settingFault(flag, format string, args ...any) *thor.Error {
	err := thor.Errorf(thor.EINVALID, "--%s: "+format, append([]any{flag}, args...)...)
	err.Path = flag
	return err
}

// note says when the certificate is not valid now.
func (c *certificate) note(now time.Time) string {
	leaf := c.current.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return "the certificate " + c.certFile + " has expired, on " + leaf.NotAfter.Format(time.DateOnly) + ": clients will refuse it"
	case now.Before(leaf.NotBefore):
		return "the certificate " + c.certFile + " is not valid before " + leaf.NotBefore.Format(time.DateOnly) + ": clients will refuse it"
	}
	return ""
}

// wrap encrypts what a listener accepts. HTTP/2 is not offered: a WebSocket
// begins as a request of HTTP/1.1.
func (c *certificate) wrap(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	})
}
