package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// certify writes a certificate of its own and its key for localhost.
func certify(t *testing.T, dir, name string, serial int64, ends time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	writeFile(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	return certFile, keyFile
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, data)
}

func TestTLSSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certify(t, dir, "good", 1, time.Now().Add(time.Hour))
	_, other := certify(t, dir, "other", 2, time.Now().Add(time.Hour))
	text := filepath.Join(dir, "text")
	writeFile(t, text, []byte("hello"))
	cut := filepath.Join(dir, "cut.crt")
	writeFile(t, cut, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dir, "old.key")
	writeFile(t, old, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	missing := filepath.Join(dir, "missing")
	for _, tt := range []struct {
		name, cert, key string
		says            []string // nothing is that it is good
	}{
		{"none", "", "", nil},
		{"both", cert, key, nil},
		{"no key", cert, "", []string{"--tls-cert: a certificate needs its key: set --tls-key or THOR_TLS_KEY too"}},
		{"no certificate", "", key, []string{"--tls-key: a key needs its certificate"}},
		{"both missing", missing, missing, []string{"--tls-cert: the file cannot be read", "--tls-key: the file cannot be read"}},
		{"no PEM", text, text, []string{"--tls-cert: " + text + " has no certificate in PEM", "--tls-key: " + text + " has no private key in PEM"}},
		{"the wrong way round", key, cert, []string{"has no certificate in PEM", "has no private key in PEM"}},
		{"a certificate that is cut", cut, key, []string{"has a certificate that cannot be read"}},
		{"another's key", cert, other, []string{"--tls-key: the key in " + other + " does not belong to the certificate in " + cert}},
		{"another's key of another kind", cert, old, []string{"does not belong"}},
	} {
		c := Default()
		c.TLSCert, c.TLSKey = tt.cert, tt.key
		err := c.Validate()
		if (err == nil) != (len(tt.says) == 0) {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, says := range tt.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v does not say %q", tt.name, err, says)
			}
		}
	}
}

// lines is a log to look at.
type lines struct {
	mu  sync.Mutex // guards what follows
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

func TestTheCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certify(t, dir, "server", 1, time.Now().Add(time.Hour))
	log := &lines{}
	c, err := openCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 { return c.get().Leaf.SerialNumber.Int64() }
	later := func() { c.looked = time.Time{} }
	newCert, newKey := certify(t, dir, "new", 2, time.Now().Add(time.Hour))
	copyFile(t, newCert, certFile)
	if got := serial(); got != 1 {
		t.Errorf("looked at again at once: %d", got)
	}
	later()
	if got := serial(); got != 1 || log.count("new certificate not taken") != 1 {
		t.Errorf("with one of the two files new: %d, log %s", got, &log.all)
	}
	later()
	if got := serial(); got != 1 || log.count("new certificate not taken") != 1 {
		t.Errorf("the same fault: %d, log %s", got, &log.all)
	}
	copyFile(t, newKey, keyFile)
	later()
	if got := serial(); got != 2 || log.count("certificate read again") != 1 {
		t.Errorf("with both new: %d, log %s", got, &log.all)
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	later()
	if got := serial(); got != 2 || log.count("not taken") != 2 {
		t.Errorf("without a file: %d, log %s", got, &log.all)
	}
}

func TestCertificateNotes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := certify(t, dir, "server", 1, time.Now().Add(-time.Hour))
	a := openTest(t, func(c *Config) { c.TLSCert, c.TLSKey = certFile, keyFile })
	if notes := strings.Join(a.accessNotes(), "\n"); !strings.Contains(notes, certFile+" has expired, on ") {
		t.Errorf("notes %q", notes)
	}
	if note := a.certificate.note(time.Now().Add(-100 * time.Hour)); !strings.Contains(note, "is not valid before") {
		t.Errorf("note %q", note)
	}
	if note := a.certificate.note(time.Now().Add(-24 * time.Hour)); note != "" {
		t.Errorf("note %q of a good one", note)
	}
}

func TestWhatTLSSpeaks(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certify(t, t.TempDir(), "server", 1, time.Now().Add(time.Hour))
	c, err := openCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	listeners, err := listen(t.Context(), "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, listeners)
	roots := x509.NewCertPool()
	roots.AddCert(c.current.Leaf)
	shake := func(change func(*tls.Config)) (tls.ConnectionState, error) {
		config := &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}}
		if change != nil {
			change(config)
		}
		served := make(chan error, 1)
		go func() {
			conn, err := listeners[0].Accept()
			if err == nil {
				_, err = conn.Read(make([]byte, 1)) // the handshake, and the end
				conn.Close()                        //nolint:errcheck // a test
			}
			served <- err
		}()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listeners[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		client := tls.Client(conn, config)
		err = client.HandshakeContext(t.Context())
		state := client.ConnectionState()
		client.Close() //nolint:errcheck // a test
		if err := <-served; err == nil {
			t.Error("the client said something")
		}
		return state, err
	}
	if state, err := shake(nil); err != nil || state.NegotiatedProtocol != "http/1.1" || state.Version != tls.VersionTLS13 {
		t.Errorf("speaks %q, version %x, %v; want HTTP/1.1 alone", state.NegotiatedProtocol, state.Version, err)
	}
	if _, err := shake(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if _, err := shake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }); err == nil {
		t.Error("speaks TLS 1.1")
	}
}
